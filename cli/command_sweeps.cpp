// submit, list, show, cancel, stop, logs, workers.
#include <filesystem>
#include <fstream>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "cli/client.hpp"
#include "cli/commands.hpp"
#include "cli/result_table.hpp"
#include "cli/sweep_file.hpp"
#include "cli/text_table.hpp"
#include "common/net/secrets.hpp"

namespace fathom::cli {

using nlohmann::json;

namespace {

std::string sweep_path(const std::string& sweep) { return "/api/v1/sweeps/" + encode(sweep); }

// A member as people read it: nothing for null, texts without quotes.
std::string shown(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return "";
  if (found->is_string()) return found->get<std::string>();
  if (found->is_number_float()) return fmt::format("{:.4g}", found->get<double>());
  return found->dump();
}

long long number(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number() ? found->get<long long>() : 0;
}

std::string counts_text(const json& counts) {
  std::vector<std::string> parts;
  if (counts.is_object()) {
    for (const auto& [state, count] : counts.items()) {
      if (count.is_number() && count.get<long long>() > 0)
        parts.push_back(fmt::format("{} {}", count.get<long long>(), state));
    }
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::string parameters_text(const json& job) {
  std::vector<std::string> parts;
  const auto found = job.find("parameters");
  if (found == job.end() || !found->is_object()) return "";
  for (const auto& [name, value] : found->items()) {
    parts.push_back(fmt::format("{}={}", name.substr(name.find('.') + 1),
                                value.is_string() ? value.get<std::string>() : value.dump()));
  }
  return fmt::format("{}", fmt::join(parts, ","));
}

// The one job whose id begins with `prefix`.
void print_jobs(const json& jobs) {
  TextTable table({"job", "stage", "task", "drop", "parameters", ">seed", "state", ">epoch", ">objective", "cause"});
  for (const json& job : jobs) {
    std::string drop = shown(job, "drop");
    if (!shown(job, "set").empty()) drop += (drop.empty() ? "" : " ") + shown(job, "set");
    if (number(job, "keep") > 0) drop += fmt::format(" keep {}", number(job, "keep"));
    table.row({shown(job, "id"), shown(job, "stage"), shown(job, "task"), drop, parameters_text(job),
               shown(job, "seed"), shown(job, "state") + (shown(job, "cached") == "true" ? " (reused)" : ""),
               shown(job, "epoch"), shown(job, "objective"), shown(job, "cause").substr(0, 60)});
  }
  fmt::print("{}", table.text());
}

void print_sweep(const json& sweep) {
  const auto reused = number(sweep, "reused");
  fmt::print("{}: {} ({} jobs: {}{})\n", shown(sweep, "id"), shown(sweep, "state"), number(sweep, "jobs"),
             counts_text(sweep.value("counts", json::object())), reused > 0 ? fmt::format("; {} reused", reused) : "");
  if (const json saved = sweep.value("saved", json()); saved.is_object() && number(saved, "epochs") > 0)
    fmt::print("stopping saved {} of {} epochs\n", number(saved, "epochs"), number(saved, "of"));
  TextTable table({"stage", "kind", ">jobs", "states"});
  for (const json& stage : sweep.value("stages", json::array())) {
    table.row({shown(stage, "name"), shown(stage, "kind"), shown(stage, "jobs"),
               counts_text(stage.value("counts", json::object()))});
  }
  fmt::print("{}", table.text());
  for (const json& slow : sweep.value("stragglers", json::array())) {
    fmt::print("{} is slow: its epoch takes {} s, those of its peers {:.1f} s (median)\n", shown(slow, "job"),
               number(slow, "epoch_ms") / 1000, static_cast<double>(number(slow, "median_ms")) / 1000);
  }
}

void print_job(const json& job) {
  for (const char* key : {"id", "sweep", "stage", "kind", "task", "drop", "set", "seed", "state", "cause", "explain",
                          "worker", "device", "epoch", "objective"}) {
    if (const std::string text = shown(job, key); !text.empty() && text != "0") fmt::print("{:<11}{}\n", key, text);
  }
  if (const std::string text = parameters_text(job); !text.empty()) fmt::print("{:<11}{}\n", "parameters", text);
  if (const std::string from = shown(job, "source"); !from.empty())
    fmt::print("{:<11}not trained: the result of this job in sweep {}{}\n", "reused", from,
               shown(job, "pinned") == "true" ? ", pinned" : "");
  const json attempts = job.value("attempts", json());
  if (!attempts.is_array() || attempts.empty()) return;
  TextTable table({"attempt", "worker", "device", "outcome", "started", "message"});
  for (const json& attempt : attempts) {
    table.row({shown(attempt, "generation") + "-" + shown(attempt, "attempt"), shown(attempt, "worker"),
               shown(attempt, "device"), shown(attempt, "outcome"), time_text(number(attempt, "started")),
               shown(attempt, "text")});
  }
  fmt::print("{}", table.text());
}

// The end of a local log file.
void print_tail(const fs::path& file, std::uint64_t tail) {
  std::ifstream in(file, std::ios::binary | std::ios::ate);
  if (!in) return;
  const auto size = static_cast<std::uint64_t>(in.tellg());
  in.seekg(static_cast<std::streamoff>(size > tail ? size - tail : 0));
  std::string line;
  if (size > tail) std::getline(in, line);  // the first line is cut
  fmt::print("==> {} <==\n", file.string());
  while (std::getline(in, line)) fmt::print("{}\n", line);
}

}  // namespace

Result<std::string> full_job_id(Client& client, const std::string& sweep, const std::string& prefix) {
  if (prefix.size() == 16) return prefix;
  FATHOM_ASSIGN(const json jobs, client.items(sweep_path(sweep) + "/jobs"));
  std::vector<std::string> found;
  for (const json& job : jobs) {
    const std::string id = shown(job, "id");
    if (id.starts_with(prefix)) found.push_back(id);
  }
  if (found.size() == 1) return found.front();
  return Error{Errc::not_found, fmt::format("{} jobs of sweep {} begin with \"{}\"; 'fathom show {}' lists them",
                                            found.size(), sweep, prefix, sweep)};
}

Result<json> submit_file(const Context& context, const SweepFile& options) {
  // Mistakes are found here already, with the file's own path and its includes; the coordinator checks again.
  FATHOM_ASSIGN(const CheckedSweep checked, check_sweep(options));
  if (!checked.errors.empty()) {
    const std::size_t count = checked.errors.size() + checked.more;
    std::string all = mistakes_text(checked.errors, checked.more);
    all.pop_back();
    return Error{Errc::invalid_argument,
                 fmt::format("{} has {} mistake{}\n{}", options.file, count, count == 1 ? "" : "s", all)};
  }
  FATHOM_ASSIGN(Client client, Client::open(context));
  json body = {{"yaml", checked.yaml}, {"file", options.file}, {"set", options.set}};
  if (!options.name.empty()) body["name"] = options.name;
  if (!checked.includes.empty()) body["includes"] = checked.includes;
  FATHOM_ASSIGN(const std::string key, net::random_hex(16));
  FATHOM_ASSIGN(const json answer, client.post("/api/v1/sweeps", body, {{"Idempotency-Key", key}}));
  return answer;
}

void print_submitted(const json& answer) {
  const std::string id = shown(answer, "id");
  fmt::print("{}: {} jobs submitted; 'fathom watch {}' follows them\n", id, number(answer, "jobs"), id);
  for (const json& note : answer.value("notes", json::array())) fmt::print("note: {}\n", note.get<std::string>());
  std::fflush(stdout);
}

ExitCode submit(const Context& context, const SweepFile& options) {
  FATHOM_ASSIGN(const json answer, submit_file(context, options));
  if (context.json) {
    fmt::print("{}\n", answer.dump());
  } else {
    print_submitted(answer);
  }
  return 0;
}

ExitCode list(const Context& context) {
  FATHOM_ASSIGN(Client client, Client::open(context));
  FATHOM_ASSIGN(const json sweeps, client.items("/api/v1/sweeps"));
  if (context.json) {
    fmt::print("{}\n", json{{"items", sweeps}}.dump());
    return 0;
  }
  TextTable table({"sweep", "state", ">jobs", ">reused", "states", "created"});
  for (const json& sweep : sweeps) {
    table.row({shown(sweep, "id"), shown(sweep, "state"), shown(sweep, "jobs"), shown(sweep, "reused"),
               counts_text(sweep.value("counts", json::object())), time_text(number(sweep, "created"))});
  }
  fmt::print("{}",
             sweeps.empty() ? "No sweeps yet: 'fathom submit FILE' gives one to the coordinator.\n" : table.text());
  return 0;
}

ExitCode show(const Context& context, const std::string& sweep, const std::string& job) {
  FATHOM_ASSIGN(Client client, Client::open(context));
  if (!job.empty()) {
    FATHOM_ASSIGN(const std::string id, full_job_id(client, sweep, job));
    FATHOM_ASSIGN(const json found, client.get(sweep_path(sweep) + "/jobs/" + encode(id)));
    if (context.json) {
      fmt::print("{}\n", found.dump());
    } else {
      print_job(found);
    }
    return 0;
  }
  FATHOM_ASSIGN(json found, client.get(sweep_path(sweep)));
  FATHOM_ASSIGN(const json jobs, client.items(sweep_path(sweep) + "/jobs"));
  if (context.json) {
    found["items"] = jobs;
    fmt::print("{}\n", found.dump());
    return 0;
  }
  print_sweep(found);
  print_jobs(jobs);
  FATHOM_ASSIGN(const std::string table, result_table(client, sweep));
  fmt::print("{}", table);
  return 0;
}

ExitCode replay(const Context& context, const std::string& sweep) {
  FATHOM_ASSIGN(Client client, Client::open(context));
  FATHOM_ASSIGN(const json answer, client.get(sweep_path(sweep) + "/replay"));
  const bool identical = answer.value("identical", false);
  if (context.json) {
    fmt::print("{}\n", answer.dump());
  } else if (identical) {
    fmt::print("identical: {} decisions of {} events\n", number(answer, "decisions"), number(answer, "events"));
  } else {
    const json difference = answer.value("difference", json::object());
    fmt::print("different at event {}\n  in the log: {}\n  made again: {}\n", number(difference, "event"),
               shown(difference, "logged"), shown(difference, "again"));
  }
  return identical ? 0 : 1;
}

ExitCode cancel(const Context& context, const std::string& sweep, const std::string& job) {
  FATHOM_ASSIGN(Client client, Client::open(context));
  std::string path = sweep_path(sweep);
  if (!job.empty()) {
    FATHOM_ASSIGN(const std::string id, full_job_id(client, sweep, job));
    path += "/jobs/" + encode(id);
  }
  FATHOM_ASSIGN(const json answer, client.post(path + "/cancel", json::object()));
  fmt::print("{}\n", context.json ? answer.dump() : fmt::format("{}: {}", shown(answer, "id"), shown(answer, "state")));
  return 0;
}

ExitCode stop(const Context& context, const std::string& sweep, bool now) {
  FATHOM_ASSIGN(Client client, Client::open(context));
  FATHOM_ASSIGN(const json answer, client.post(sweep_path(sweep) + "/stop", json{{"now", now}}));
  if (context.json) {
    fmt::print("{}\n", answer.dump());
    return 0;
  }
  const json counts = answer.value("counts", json::object());
  const int running = counts.value("running", 0) + counts.value("leased", 0) + counts.value("stopping", 0);
  fmt::print("{}: nothing more is started, {} {}\n", shown(answer, "id"), running,
             running == 1 ? (now ? "job is being ended" : "job goes on to its end")
                          : (now ? "jobs are being ended" : "jobs go on to their ends"));
  return 0;
}

ExitCode logs(const Context& context, const std::string& sweep, const std::string& job, std::uint64_t tail) {
  if (sweep.empty()) {
    for (const char* name : {"up.log", "up-coordinator.log", "up-worker.log"}) print_tail(context.state / name, tail);
    return 0;
  }
  if (job.empty())
    return Error{Errc::invalid_argument, "which job of " + sweep + "? 'fathom show " + sweep + "' lists them"};
  FATHOM_ASSIGN(Client client, Client::open(context));
  FATHOM_ASSIGN(const std::string id, full_job_id(client, sweep, job));
  FATHOM_ASSIGN(const std::string text,
                client.text(sweep_path(sweep) + "/jobs/" + encode(id) + "/log?tail=" + std::to_string(tail)));
  if (context.json) {
    fmt::print("{}\n", json{{"job", id}, {"log", text}}.dump(-1, ' ', false, json::error_handler_t::replace));
  } else {
    fmt::print("{}", text);
  }
  return 0;
}

ExitCode workers(const Context& context) {
  FATHOM_ASSIGN(Client client, Client::open(context));
  FATHOM_ASSIGN(const json found, client.items("/api/v1/workers"));
  if (context.json) {
    fmt::print("{}\n", json{{"items", found}}.dump());
    return 0;
  }
  TextTable table({"number", "worker", "state", "device", ">slots", ">running"});
  for (const json& worker : found) {
    for (const json& device : worker.value("devices", json::array())) {
      const json running = device.value("running", json(0));
      const json certificate = worker.value("certificate", json());
      const bool revoked = certificate.is_object() && certificate.value("revoked", false);
      table.row({shown(worker, "id"), shown(worker, "name"), revoked ? "revoked" : shown(worker, "state"),
                 shown(device, "name"), shown(device, "slots"),
                 running.is_array() ? std::to_string(running.size()) : running.dump()});
    }
  }
  fmt::print("{}", found.empty() ? "No worker has joined: 'fathom up' starts one.\n" : table.text());
  for (const json& worker : found) {
    const json notes = worker.value("notes", json::array());
    for (const json& note : notes) fmt::print("{}: {}\n", shown(worker, "name"), note.get<std::string>());
  }
  return 0;
}

ExitCode worker_revoke(const Context& context, const std::string& worker) {
  FATHOM_ASSIGN(Client client, Client::open(context));
  FATHOM_ASSIGN(const json done, client.post("/api/v1/workers/" + encode(worker) + "/revoke", json::object()));
  if (context.json) {
    fmt::print("{}\n", done.dump());
  } else {
    fmt::print("{} may not work any more; its jobs run again elsewhere when their leases end\n", worker);
  }
  return 0;
}

ExitCode export_log(const Context& context, const std::string& file) {
  FATHOM_ASSIGN(Client client, Client::open(context));
  FATHOM_TRY(client.fetch("/api/v1/log", file));
  const auto bytes = std::filesystem::file_size(file);
  if (context.json) {
    fmt::print("{}\n", json{{"file", file}, {"bytes", bytes}}.dump());
  } else {
    fmt::print(
        "{}: {:.1f} MB. 'fathom-coordinator import' and 'repair --from' take it; keep a copy of the artifacts with "
        "it.\n",
        file, static_cast<double>(bytes) / 1e6);
  }
  return 0;
}

}  // namespace fathom::cli
