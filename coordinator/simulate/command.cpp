#include "coordinator/simulate/command.hpp"

#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>

#include "common/files.hpp"
#include "coordinator/simulate/simulation.hpp"
#include "sweeps/sweep.hpp"

namespace fathom::simulate {
namespace {

constexpr std::uint64_t kMaxSweep = 4U << 20;
constexpr std::uint64_t kMaxCurves = 256U << 20;

Result<std::string> simulated(const sweeps::Sweep& sweep, const SimulateFlags& flags) {
  FATHOM_ASSIGN(const std::string text, read_file(flags.curves, kMaxCurves));
  FATHOM_ASSIGN(const Curves curves, Curves::read(text));
  FATHOM_ASSIGN(sweeps::Plan planned, sweeps::expand(sweep));
  for (const sweeps::Stage& stage : planned.stages) {
    if (stage.stop && stage.stop->method == "pbt")
      return Error{Errc::unsupported,
                   "stage '" + stage.name + "': curves are of fixed parameters, method pbt changes them on the way"};
    if (stage.stop && stage.stop->by_step)
      return Error{Errc::unsupported, "stage '" + stage.name + "': curves have values by epoch, its rungs count steps"};
  }
  sweeps::Plan exhaustive = planned;
  for (sweeps::Stage& stage : exhaustive.stages) stage.stop.reset();
  const auto plan = std::make_shared<const sweeps::Plan>(std::move(planned));
  FATHOM_ASSIGN(const Run stopping, run(plan, curves, flags.slots));
  FATHOM_ASSIGN(const Run full, run(std::make_shared<const sweeps::Plan>(std::move(exhaustive)), curves, flags.slots));
  const auto comparison = compare(*plan, stopping, full);
  return flags.json ? comparison.dump() + "\n" : text_of(comparison);
}

}  // namespace

void declare_command(CLI::App& app, SimulateFlags& flags) {
  auto* command = app.add_subcommand("simulate", "Run a sweep file on learning curves with a virtual clock");
  command->add_option("FILE", flags.file, "The sweep file")->required();
  command->add_option("--curves", flags.curves, "Learning curves (docs/sweeps.md)")->required();
  command->add_option("--set", flags.set, "KEY=VALUE laid over the file; repeatable")->allow_extra_args(false);
  command->add_option("--slots", flags.slots, "Jobs at once")->capture_default_str()->check(CLI::Range(1, 100000));
  command->add_flag("--json", flags.json, "One JSON object");
}

int run_command(const CLI::App& app, const SimulateFlags& flags, std::ostream& out) {
  if (!app.got_subcommand("simulate")) return -1;
  const auto fail = [](const Error& error) {
    std::cerr << "fathom: " << error.message << '\n';
    return 1;
  };
  const auto yaml = read_file(flags.file, kMaxSweep);
  if (!yaml) return fail(yaml.error());
  sweeps::ParseOptions options;
  options.file = flags.file;
  options.set = flags.set;
  options.read_include = [folder = std::filesystem::path(flags.file).parent_path()](const std::string& path) {
    return read_file((folder / path).string(), kMaxSweep);
  };
  const sweeps::ParseResult parsed = sweeps::parse(*yaml, options);
  for (const sweeps::Diagnostic& mistake : parsed.errors) std::cerr << sweeps::render(mistake) << '\n';
  if (!parsed.errors.empty()) return 1;
  const auto text = simulated(parsed.sweep, flags);
  if (!text) return fail(text.error());
  out << *text;
  return 0;
}

}  // namespace fathom::simulate
