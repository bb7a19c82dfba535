// The commands of `fathom`, one function each, over options that are already parsed (cli/app.cpp). Each prints its
// result on stdout, as text or, with Context::json, as one JSON value, and returns the exit code; an Error is printed
// by the caller and means exit code 1. Thread: the main thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "cli/context.hpp"
#include "cli/supervisor.hpp"
#include "common/result.hpp"

namespace fathom::cli {

class Client;

using ExitCode = Result<int>;

// ---------------------------------------------------------------- this machine
// Starts the supervisor in the background (or is it, with --foreground) and waits until a worker has joined.
ExitCode up(const Context& context, UpOptions options);
// The same where nothing runs yet; prints only as text.
Status ensure_up(const Context& context, UpOptions options);
ExitCode down(const Context& context);
// Prints a link that logs a browser in once. `print`: only the link, and only where `up` runs a forwarder.
ExitCode dashboard(const Context& context, bool print);

// ---------------------------------------------------------------- files, without a coordinator
struct DataOptions {
  std::string recipe;
  std::string root = ".";
  std::string out;  // empty: ROOT/data/NAME
};
ExitCode data(const Context& context, const DataOptions& options);

struct SweepFile {
  std::string file;
  std::vector<std::string> set;  // KEY=VALUE
  std::string name;              // of the sweep; empty: the file's
  std::string root;              // validate and plan: where the model may be looked at; empty: not
};
ExitCode validate(const Context& context, const SweepFile& options);
struct PlanOptions {
  std::string graph;   // text | dot: only the dependency graph; empty: the jobs
  std::string timing;  // jobs.csv of a collected sweep, for an estimate of time; empty: none
  std::uint32_t slots = 1;
};
ExitCode plan(const Context& context, const SweepFile& options, const PlanOptions& how);

struct ImportOptions {
  std::string from;  // wandb | determined
  std::string file;
};
// Prints a sweep file; what has no counterpart stands in comments above it and on stderr.
ExitCode import_sweep(const Context& context, const ImportOptions& options);

struct SimulateOptions {
  SweepFile file;
  std::string curves;
  std::uint32_t slots = 4;
};
// Becomes fathom-coordinator; returns only when that fails.
ExitCode simulate(const Context& context, const SimulateOptions& options);

struct PredictOptions {
  std::vector<std::string> adapters;  // all on one base model
  std::string model;                  // empty: the adapters' model below the root
  std::string root;                   // empty: that of the running `up`
  std::string file;                   // more texts, one a line
  std::vector<int> depths;            // lowest layers without adapters: none (as trained), one, or one each
  std::optional<int> threads;
  std::vector<std::string> texts;
};
// Becomes fathom-trainer; returns only when that fails.
ExitCode predict(const Context& context, const PredictOptions& options);

struct BenchOptions {
  std::string model;  // folder
  std::string precision;
  std::map<std::string, std::optional<int>> numbers = {
      {"--threads", {}}, {"--batch", {}}, {"--length", {}}, {"--steps", {}}};
};
// Becomes fathom-trainer; returns only when that fails.
ExitCode bench(const Context& context, const BenchOptions& options);

// ---------------------------------------------------------------- sweeps
ExitCode submit(const Context& context, const SweepFile& options);
ExitCode list(const Context& context);
ExitCode show(const Context& context, const std::string& sweep, const std::string& job);
// Makes every decision of the sweep again from the log; 1 where one differs.
ExitCode replay(const Context& context, const std::string& sweep);
// Until the sweep ends; 1 if it failed or was cancelled.
ExitCode watch(const Context& context, const std::string& sweep);
ExitCode cancel(const Context& context, const std::string& sweep, const std::string& job);
// Nothing more of it is started; what runs goes on to its end or, with `now`, is ended too.
ExitCode stop(const Context& context, const std::string& sweep, bool now);
// How a sweep runs; what is absent stays. What runs goes on.
struct ChangeOptions {
  std::optional<bool> paused;
  bool now = false;  // pause: what runs gives its slot back
  std::optional<std::uint32_t> priority, weight, concurrency, failed;
  std::string wall, job_wall;  // "6h"; "none": no limit
};
ExitCode change(const Context& context, const std::string& sweep, const ChangeOptions& options);
// A new generation: without a job of all that failed and what was skipped for their sake, else of that one.
ExitCode retry(const Context& context, const std::string& sweep, const std::string& job);
struct ForkOptions {
  std::string sweep;
  std::vector<std::string> set;  // KEY=VALUE
  std::string name;              // empty: the sweep's, made unique
  bool go_on = false;            // jobs go on from those of fewer epochs
};
// Submits the sweep's stored file with changes; results of what stays the same are taken.
ExitCode fork(const Context& context, const ForkOptions& options);
struct ExtendOptions {
  std::string seeds;                 // as in a sweep file: "[1, 2, 3]", "1..5"
  std::uint32_t trials = 0;          // 0: as before
  std::uint32_t epochs = 0;          // 0: as before
  std::vector<std::string> samples;  // PARAMETER=N
};
// …with more of what it has.
ExitCode extend(const Context& context, const ForkOptions& options, const ExtendOptions& more);
// A pinned result is taken whatever its age.
ExitCode pin(const Context& context, const std::string& sweep, const std::string& job, bool pinned);
// Without a sweep: the ends of the coordinator's and the worker's logs.
ExitCode logs(const Context& context, const std::string& sweep, const std::string& job, std::uint64_t tail);
ExitCode workers(const Context& context);
ExitCode worker_revoke(const Context& context, const std::string& worker);
struct TokenOptions {
  std::string name, role;
  std::uint32_t days = 0;  // 0: for ever
  std::string out;         // a state folder for the holder of the token; empty: the secret is printed
};
ExitCode token_create(const Context& context, const TokenOptions& options);
ExitCode token_list(const Context& context);
ExitCode token_revoke(const Context& context, const std::string& name);
// Writes the coordinator's whole event log to a file, while it runs.
ExitCode export_log(const Context& context, const std::string& file);

struct CollectOptions {
  std::string sweep;
  std::string out;  // empty: ./fathom-results/SWEEP
  bool best =
      false;  // only the best setting of each task and drop (default: where settings vary, all that have weights)
  bool curves = false;      // also curves.csv
  std::string predictions;  // also predictions/ on this split: dev, test or train; empty: none
  std::string root;         // of the models and data for them; empty: that of the running `up`, else .
};
ExitCode collect(const Context& context, const CollectOptions& options);

// up (where nothing runs), submit, watch, collect.
ExitCode run(const Context& context, const SweepFile& file, const UpOptions& up_options,
             const CollectOptions& collect_options);

// ---------------------------------------------------------------- shared by commands
// Checks and submits; the coordinator's answer {"id", "jobs", "notes"}.
Result<nlohmann::json> submit_file(const Context& context, const SweepFile& options);
void print_submitted(const nlohmann::json& answer);
// A job's id by its first digits. not_found: none of the sweep's jobs has them, or several have.
Result<std::string> full_job_id(Client& client, const std::string& sweep, const std::string& prefix);

}  // namespace fathom::cli
