// pause, resume and set: how a sweep runs; retry and rerun: what begins again; pin: what is taken for ever.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/client.hpp"
#include "cli/commands.hpp"
#include "common/net/secrets.hpp"
#include "sweeps/schema/values.hpp"

namespace fathom::cli {
namespace {

using nlohmann::json;

// Into limits[key], in seconds, where a time was given.
Status add_time(const std::string& text, const char* flag, const char* key, json& limits) {
  if (text.empty()) return success();
  const auto seconds = text == "none" ? std::optional<std::int64_t>(0) : sweeps::parse_duration(text);
  if (!seconds)
    return Error{Errc::invalid_argument,
                 fmt::format("{} takes a time such as 90s, 30m, 6h or 1d, or none; not \"{}\"", flag, text)};
  limits[key] = *seconds;
  return success();
}

Result<json> body_of(const ChangeOptions& options) {
  json body = json::object(), limits = json::object();
  if (options.paused) body["paused"] = *options.paused;
  if (options.now) body["now"] = true;
  if (options.priority) body["priority"] = *options.priority;
  if (options.weight) body["weight"] = *options.weight;
  if (options.concurrency) limits["concurrency"] = *options.concurrency;
  if (options.failed) limits["failed"] = *options.failed;
  FATHOM_TRY(add_time(options.wall, "--wall", "wall", limits));
  FATHOM_TRY(add_time(options.job_wall, "--job-wall", "job_wall", limits));
  if (!limits.empty()) body["limits"] = std::move(limits);
  if (body.empty()) return Error{Errc::invalid_argument, "nothing to change: 'fathom set --help' lists what can be"};
  return body;
}

// "priority 50, concurrency 4, wall 6 h": limits that there are.
std::string settings_text(const json& sweep) {
  std::string text = fmt::format("priority {}, weight {}", sweep.value("priority", 0), sweep.value("weight", 1));
  const json limits = sweep.value("limits", json::object());
  for (const char* key : {"concurrency", "wall", "job_wall", "failed"}) {
    const auto limit = limits.value(key, std::int64_t{0});
    const bool time = std::string_view(key).ends_with("wall");
    if (limit != 0) text += fmt::format(", {} {}{}", key, limit, time ? " s" : "");
  }
  return text;
}

}  // namespace

ExitCode change(const Context& context, const std::string& sweep, const ChangeOptions& options) {
  FATHOM_ASSIGN(const json body, body_of(options));
  FATHOM_ASSIGN(Client client, Client::open(context));
  FATHOM_ASSIGN(const json answer, client.post("/api/v1/sweeps/" + encode(sweep) + "/change", body));
  if (context.json) {
    fmt::print("{}\n", answer.dump());
  } else {
    fmt::print("{} is {}: {}\n", answer.value("id", sweep), answer.value("state", ""), settings_text(answer));
  }
  return 0;
}

ExitCode retry(const Context& context, const std::string& sweep, const std::string& job) {
  FATHOM_ASSIGN(Client client, Client::open(context));
  std::string path = "/api/v1/sweeps/" + encode(sweep);
  if (!job.empty()) {
    FATHOM_ASSIGN(const std::string id, full_job_id(client, sweep, job));
    path += "/jobs/" + encode(id);
  }
  FATHOM_ASSIGN(const std::string key, net::random_hex(16));
  FATHOM_ASSIGN(const json answer,
                client.post(path + (job.empty() ? "/retry" : "/rerun"), json::object(), {{"Idempotency-Key", key}}));
  const auto jobs = answer.value("reopened", 0);
  if (context.json) {
    fmt::print("{}\n", answer.dump());
  } else {
    fmt::print("{}: {} job{} again{}\n", sweep, jobs, jobs == 1 ? " runs" : "s run",
               jobs == 0 ? ": nothing failed" : "");
  }
  return 0;
}

ExitCode pin(const Context& context, const std::string& sweep, const std::string& job, bool pinned) {
  FATHOM_ASSIGN(Client client, Client::open(context));
  FATHOM_ASSIGN(const std::string id, full_job_id(client, sweep, job));
  FATHOM_ASSIGN(const json answer,
                client.post("/api/v1/sweeps/" + encode(sweep) + "/jobs/" + encode(id) + (pinned ? "/pin" : "/unpin"),
                            json::object()));
  if (context.json) {
    fmt::print("{}\n", answer.dump());
  } else {
    fmt::print("{} of {} is {}pinned\n", id, sweep, pinned ? "" : "not ");
  }
  return 0;
}

}  // namespace fathom::cli
