#include "coordinator/maintenance/commands.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <nlohmann/json.hpp>

#include "coordinator/maintenance/maintenance.hpp"

namespace fathom::maintenance {
namespace {

using nlohmann::json;

int fail(const Error& error) {
  std::cerr << "fathom-coordinator: " << error.message << '\n';
  return 1;
}

int run_verify(const CommandFlags& flags, const std::string& state, std::ostream& out) {
  const auto check = verify(state, flags.hashes);
  if (!check) return fail(check.error());
  if (flags.json) {
    out << json{{"events", check->events},       {"sweeps", check->sweeps}, {"jobs", check->jobs},
                {"open_jobs", check->open_jobs}, {"files", check->files},   {"bytes", check->bytes},
                {"problems", check->problems}}
               .dump()
        << '\n';
  } else {
    out << fmt::format("{} events, {} sweeps, {} jobs ({} not ended), {} files of finished jobs ({:.1f} MB)\n",
                       check->events, check->sweeps, check->jobs, check->open_jobs, check->files,
                       static_cast<double>(check->bytes) / 1e6);
    for (const auto& problem : check->problems) out << "problem: " << problem << '\n';
    out << (check->problems.empty() ? "all is well\n" : "");
  }
  return check->problems.empty() ? 0 : 1;
}

int run_repair(const CommandFlags& flags, const std::string& state, std::ostream& out) {
  const auto from = flags.from.empty() ? std::nullopt : std::optional<std::filesystem::path>(flags.from);
  const auto done = repair(state, from, flags.apply, SystemClock());
  if (!done) return fail(done.error());
  if (flags.json) {
    out << json{{"kept", done->kept},
                {"damage", done->damage},
                {"applied", !done->set_aside.empty()},
                {"set_aside", done->set_aside}}
               .dump()
        << '\n';
    return 0;
  }
  if (!done->damage.empty()) out << "damage: " << done->damage << '\n';
  if (done->damage.empty() && !from) {
    out << fmt::format("nothing to repair: {} events are sound\n", done->kept);
  } else if (!flags.apply) {
    out << fmt::format("would keep {} events{}; what came after is lost. Do it with --apply\n", done->kept,
                       from ? " of the export" : "");
  } else {
    out << fmt::format("kept {} events{}; the log before is {}\n", done->kept, from ? " of the export" : "",
                       done->set_aside.empty() ? "absent" : done->set_aside);
  }
  return 0;
}

}  // namespace

void declare_commands(CLI::App& app, CommandFlags& flags) {
  auto* check = app.add_subcommand("verify", "Check the event log and every file of finished jobs; changes nothing");
  check->add_flag("!--no-hashes", flags.hashes, "Look at sizes only");
  auto* write = app.add_subcommand("export", "Write the event log to a text file");
  write->add_option("FILE", flags.file, "File to write")->required();
  auto* take = app.add_subcommand("import", "Make the log of an empty state folder from an export");
  take->add_option("FILE", flags.file, "An export")->required()->check(CLI::ExistingFile);
  auto* mend = app.add_subcommand("repair", "Go back to the last sound event, or to an export");
  mend->add_option("--from", flags.from, "An export to go back to")->check(CLI::ExistingFile);
  mend->add_flag("--apply", flags.apply, "Do it; without this it only says what would be lost");
  for (auto* command : {check, write, take, mend}) {
    command->add_flag("--json", flags.json, "One JSON object");
    command->fallthrough();
  }
  app.require_subcommand(0, 1);
}

int run_command(const CLI::App& app, const CommandFlags& flags, const std::string& state, const std::string& program,
                std::ostream& out) {
  if (app.got_subcommand("verify")) return run_verify(flags, state, out);
  if (app.got_subcommand("repair")) return run_repair(flags, state, out);
  if (!app.got_subcommand("export") && !app.got_subcommand("import")) return -1;
  const bool writes = app.got_subcommand("export");
  const auto events = writes ? export_log(state, flags.file, program) : import_log(state, flags.file, SystemClock());
  if (!events) return fail(events.error());
  if (flags.json) {
    out << json{{"events", *events}}.dump() << '\n';
  } else {
    out << fmt::format("{} events {} {}\n", *events, writes ? "written to" : "taken from", flags.file);
  }
  return 0;
}

}  // namespace fathom::maintenance
