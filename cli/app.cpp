#include "cli/app.hpp"

#include <cstdio>
#include <functional>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cli/commands.hpp"

namespace fathom::cli {

namespace {

// Everything that options write to. One object for the whole run: CLI11 keeps references to its fields.
struct Parsed {
  Context context;
  std::string state;
  UpOptions up;
  DataOptions data;
  SweepFile file;
  PlanOptions plan;
  PredictOptions predict;
  BenchOptions bench;
  SimulateOptions simulate;
  ImportOptions translate;
  ChangeOptions change;
  ForkOptions fork;
  ExtendOptions extend;
  CollectOptions collect;
  TokenOptions token;
  std::string sweep;
  std::string worker;
  std::string job;
  std::uint64_t tail = 16384;
  bool no_cache = false;
  bool print = false;
  bool failed = false;
  std::function<ExitCode()> action;
};

CLI::App* command(CLI::App& app, Parsed& parsed, const std::string& name, const std::string& help,
                  std::function<ExitCode()> action) {
  CLI::App* made = app.add_subcommand(name, help);
  made->add_flag("--json", parsed.context.json, "One JSON value on stdout instead of text");
  made->callback([&parsed, action = std::move(action)] { parsed.action = action; });
  return made;
}

void up_flags(CLI::App& app, UpOptions& up) {
  app.add_option("--root", up.root, "Folder that model and data paths of sweeps are relative to")
      ->capture_default_str();
  app.add_option(
         "--devices", up.devices,
         "cpu:THREADS or cuda:NUMBER, separated by commas (default: every GPU, else cpu:1 for each core, at most 8)")
      ->delimiter(',');
  app.add_option("--port", up.port, "Port of the coordinator on 127.0.0.1; 0: a free one")->capture_default_str();
  app.add_option("--dashboard-port", up.dashboard_port, "Loopback port for browsers; another one if it is taken")
      ->capture_default_str();
}

void file_flags(CLI::App& app, SweepFile& file) {
  app.add_option("FILE", file.file, "The sweep file (docs/sweeps.md)")->required();
  app.add_option("--set", file.set, "KEY=VALUE: replaces a key of the file, e.g. train.epochs=1; may be repeated")
      ->allow_extra_args(false);
}

void add_machine(CLI::App& app, Parsed& p) {
  auto* up = command(app, p, "up", "Start a coordinator and a worker on this machine",
                     [&p] { return cli::up(p.context, p.up); });
  up_flags(*up, p.up);
  up->add_flag("--foreground", p.up.foreground, "Stay in the foreground until Ctrl-C");
  up->add_option("--ready-fd", p.up.ready_fd)->group("");  // from the foreground process to itself in the background
  command(app, p, "down", "Stop what 'up' has started", [&p] { return down(p.context); });
  auto* board = command(app, p, "dashboard", "Print a link that logs a browser in once",
                        [&p] { return dashboard(p.context, p.print); });
  board->add_flag("--print", p.print, "Only print the link; needs a running 'up'");
  // CLI11 runs the command's callback after its subcommand's, so the one action knows both.
  auto* list = command(app, p, "workers", "List the workers and their devices, or revoke one",
                       [&p] { return p.worker.empty() ? workers(p.context) : worker_revoke(p.context, p.worker); });
  auto* revoke = list->add_subcommand("revoke", "End a worker's connection now and refuse its certificate later");
  revoke->add_flag("--json", p.context.json, "One JSON value on stdout instead of text");
  revoke->add_option("WORKER", p.worker, "Its name or its number")->required();
  command(app, p, "export", "Write the coordinator's event log to a file, for a backup",
          [&p] { return export_log(p.context, p.file.file); })
      ->add_option("FILE", p.file.file, "File to write")
      ->required();
}

void add_tokens(CLI::App& app, Parsed& p) {
  auto* token = app.add_subcommand("token", "Access for other people and programs: create, list, revoke");
  token->require_subcommand(1);
  auto* create = command(*token, p, "create", "Make a token and show it this once",
                         [&p] { return token_create(p.context, p.token); });
  create->add_option("NAME", p.token.name, "Who it is for")->required();
  create
      ->add_option(
          "--role", p.token.role,
          "viewer looks, submitter submits and cancels, admin does everything; worker lets one worker join once")
      ->required()
      ->check(CLI::IsMember({"viewer", "submitter", "admin", "worker"}));
  create->add_option("--days", p.token.days, "Good for so many days (default: until it is revoked; a worker's: 1)");
  create->add_option("--out", p.token.out,
                     "Write a folder for --state that holds it, instead of showing it; a worker's: a file");
  command(*token, p, "list", "List the tokens", [&p] { return token_list(p.context); });
  command(*token, p, "revoke", "End a token and the browsers it logged in",
          [&p] { return token_revoke(p.context, p.token.name); })
      ->add_option("NAME", p.token.name, "Whose")
      ->required();
}

void add_files(CLI::App& app, Parsed& p) {
  auto* data = command(app, p, "data", "Turn a CSV, TSV or JSONL into a task's files",
                       [&p] { return cli::data(p.context, p.data); });
  data->add_option("RECIPE", p.data.recipe, "The recipe (docs/data.md)")->required();
  data->add_option("--root", p.data.root, "Data root: the recipe's source is relative to it")->capture_default_str();
  data->add_option("--out", p.data.out, "Where the files go (default ROOT/data/NAME)");
  for (const bool planned : {false, true}) {
    auto* check =
        command(app, p, planned ? "plan" : "validate",
                planned ? "Show what jobs a sweep file makes" : "Check a sweep file: every mistake with its line",
                [&p, planned] { return planned ? plan(p.context, p.file, p.plan) : validate(p.context, p.file); });
    file_flags(*check, p.file);
    check->add_option("--root", p.file.root, "Data root: checks drop depths against the model's layers");
    if (!planned) continue;
    check->add_option("--graph", p.plan.graph, "Only the dependency graph: text, or dot for Graphviz")
        ->check(CLI::IsMember({"text", "dot"}));
    check->add_option("--timing", p.plan.timing, "jobs.csv of a collected sweep: estimates the time from it");
    check->add_option("--slots", p.plan.slots, "Jobs at once, for the estimate")->capture_default_str();
  }
  auto* translate = app.add_subcommand("import", "Translate a sweep file of another program");
  translate->require_subcommand(1);
  for (const char* from : {"wandb", "determined"}) {
    command(*translate, p, from, "Print it as a sweep file, and what has no counterpart",
            [&p, from] {
              p.translate.from = from;
              return import_sweep(p.context, p.translate);
            })
        ->add_option("FILE", p.translate.file, "Its file")
        ->required();
  }
  auto* simulate = command(app, p, "simulate", "Run a sweep file on learning curves: what stopping saves and costs",
                           [&p] { return cli::simulate(p.context, p.simulate); });
  file_flags(*simulate, p.simulate.file);
  simulate->add_option("--curves", p.simulate.curves, "Learning curves (docs/sweeps.md)")->required();
  simulate->add_option("--slots", p.simulate.slots, "Jobs at once")->capture_default_str();
  auto* predict = command(app, p, "predict", "Classify texts with a collected adapter, fusion or fine-tuned model",
                          [&p] { return cli::predict(p.context, p.predict); });
  predict
      ->add_option("--adapter", p.predict.adapters,
                   "Folder of an adapter with its head, of a fusion or of a fine-tuned model; repeatable")
      ->required()
      ->allow_extra_args(false);
  predict->add_option("--model", p.predict.model,
                      "Folder of the base model (default: the adapter's, below the data root)");
  predict->add_option("--root", p.predict.root, "Data root (default: that of the running 'up', else .)");
  predict->add_option("--file", p.predict.file, "More texts, one a line; pairs as TEXT<TAB>TEXT");
  predict->add_option("--depth", p.predict.depths, "Lowest layers without adapters (default: as trained); one for each")
      ->allow_extra_args(false);
  predict->add_option("--threads", p.predict.threads, "Compute threads");
  predict->add_option("TEXT", p.predict.texts, "Texts to classify");
}

void add_bench(CLI::App& app, Parsed& p) {
  auto* bench =
      command(app, p, "bench", "Measure what this machine does with a base model: training and inference steps",
              [&p] { return cli::bench(p.context, p.bench); });
  bench->add_option("--model", p.bench.model, "Folder of the base model")->required();
  bench->add_option("--precision", p.bench.precision, "fp32 or bf16");
  bench->add_option("--threads", p.bench.numbers["--threads"], "Compute threads");
  bench->add_option("--batch", p.bench.numbers["--batch"], "Rows of a step");
  bench->add_option("--length", p.bench.numbers["--length"], "Tokens of a row");
  bench->add_option("--steps", p.bench.numbers["--steps"], "Measured steps of each case");
}

void add_operations(CLI::App& app, Parsed& p) {
  auto* cancel = command(app, p, "cancel", "Cancel a sweep, or one of its jobs",
                         [&p] { return cli::cancel(p.context, p.sweep, p.job); });
  auto* stop = command(app, p, "stop", "Start nothing more of a sweep and let it end with what runs",
                       [&p] { return cli::stop(p.context, p.sweep, p.change.now); });
  stop->add_flag("--now", p.change.now, "End what runs as well");
  auto* pause = command(app, p, "pause", "Start nothing more of a sweep; what runs goes on", [&p] {
    p.change.paused = true;
    return cli::change(p.context, p.sweep, p.change);
  });
  pause->add_flag("--now", p.change.now, "What runs makes a checkpoint and gives its slot back");
  auto* resume = command(app, p, "resume", "Let a paused sweep go on", [&p] {
    p.change.paused = false;
    return cli::change(p.context, p.sweep, p.change);
  });
  auto* set = command(app, p, "set", "Change priority and limits of a sweep; what runs goes on",
                      [&p] { return cli::change(p.context, p.sweep, p.change); });
  set->add_option("--priority", p.change.priority, "0 to 100; higher goes first")->check(CLI::Range(0, 100));
  set->add_option("--weight", p.change.weight, "Of its share beside sweeps of the same priority")
      ->check(CLI::Range(1, 1000));
  set->add_option("--concurrency", p.change.concurrency, "Jobs at once (0: no limit)");
  set->add_option("--wall", p.change.wall, "Time for the sweep, such as 6h (none: no limit)");
  set->add_option("--job-wall", p.change.job_wall, "Time for an attempt of a job (none: no limit)");
  set->add_option("--failed", p.change.failed, "Cancel the rest when more jobs than this failed (0: never)");
  auto* retry = command(app, p, "retry", "Run what failed once more, and what was skipped for its sake",
                        [&p] { return cli::retry(p.context, p.sweep, ""); });
  retry->add_flag("--failed", p.failed, "What failed: all that there is to retry");
  auto* rerun = command(app, p, "rerun", "Run a job once more that failed, diverged or was cancelled",
                        [&p] { return cli::retry(p.context, p.sweep, p.job); });
  auto* pin = command(app, p, "pin", "Let sweeps take a job's result however old it is",
                      [&p] { return cli::pin(p.context, p.sweep, p.job, true); });
  auto* unpin = command(app, p, "unpin", "Let a pinned result age again",
                        [&p] { return cli::pin(p.context, p.sweep, p.job, false); });
  for (CLI::App* with_sweep : {cancel, stop, pause, resume, set, retry, rerun, pin, unpin})
    with_sweep->add_option("SWEEP", p.sweep, "The sweep's name")->required();
  cancel->add_option("JOB", p.job, "The job's id, or its first digits");
  for (CLI::App* with_job : {rerun, pin, unpin})
    with_job->add_option("JOB", p.job, "The job's id, or its first digits")->required();
}

void add_sweeps(CLI::App& app, Parsed& p) {
  auto* submit = command(app, p, "submit", "Give a sweep file to the coordinator", [&p] {
    if (p.no_cache) p.file.set.emplace_back("cache=false");
    return cli::submit(p.context, p.file);
  });
  submit->add_flag("--no-cache", p.no_cache, "Train every job, also where an equal one has a result");
  file_flags(*submit, p.file);
  submit->add_option("--name", p.file.name, "The sweep's name (default: the file's)");
  command(app, p, "list", "List the sweeps", [&p] { return list(p.context); });
  auto* show = command(app, p, "show", "Show a sweep and its results, or one of its jobs",
                       [&p] { return cli::show(p.context, p.sweep, p.job); });
  auto* watch = command(app, p, "watch", "Follow a sweep until it ends; exit code 1 if it failed",
                        [&p] { return cli::watch(p.context, p.sweep); });
  auto* replay = command(app, p, "replay", "Make every decision of a sweep again from the log and compare",
                         [&p] { return cli::replay(p.context, p.sweep); });
  auto* logs = command(app, p, "logs", "The log of a job; without a sweep: of coordinator and worker",
                       [&p] { return cli::logs(p.context, p.sweep, p.job, p.tail); });
  auto* collect = command(app, p, "collect", "Write checkpoints and result tables of a sweep into a folder", [&p] {
    p.collect.sweep = p.sweep;
    return cli::collect(p.context, p.collect);
  });
  for (CLI::App* with_sweep : {show, watch, collect, replay})
    with_sweep->add_option("SWEEP", p.sweep, "The sweep's name")->required();
  logs->add_option("SWEEP", p.sweep, "The sweep's name");
  for (CLI::App* with_job : {show, logs}) with_job->add_option("JOB", p.job, "The job's id, or its first digits");
  logs->add_option("--tail", p.tail, "Bytes from the end")->capture_default_str();
  auto* run = command(app, p, "run", "up, submit, watch and collect in one",
                      [&p] { return cli::run(p.context, p.file, p.up, p.collect); });
  file_flags(*run, p.file);
  run->add_option("--name", p.file.name, "The sweep's name (default: the file's)");
  up_flags(*run, p.up);
  for (CLI::App* with_out : {collect, run}) {
    with_out->add_option("--out", p.collect.out, "Where the results go (default ./fathom-results/SWEEP)");
    with_out->add_flag("--best", p.collect.best, "Weights of the best setting of each task and drop only");
    with_out->add_flag("--curves", p.collect.curves, "Also curves.csv: every metric point of every job");
    with_out
        ->add_option("--predictions", p.collect.predictions,
                     "Also predictions/: what every model says about the rows of a split of its task")
        ->expected(0, 1)
        ->default_str("dev")
        ->check(CLI::IsMember({"dev", "test", "train"}));
  }
  collect->add_option("--root", p.collect.root,
                      "Data root for --predictions (default: that of the running 'up', else .)");
}

void add_forks(CLI::App& app, Parsed& p) {
  auto* fork =
      command(app, p, "fork", "Submit a sweep's file once more with changes; what stays the same is not trained again",
              [&p] { return cli::fork(p.context, p.fork); });
  auto* extend = command(app, p, "extend",
                         "Submit a sweep's file with more epochs, more seeds or samples; what was trained is taken",
                         [&p] { return cli::extend(p.context, p.fork, p.extend); });
  for (CLI::App* one : {fork, extend}) {
    one->add_option("SWEEP", p.fork.sweep, "The sweep's name")->required();
    one->add_option("--set", p.fork.set, "KEY=VALUE: replaces a key of its file; may be repeated")
        ->allow_extra_args(false);
    one->add_option("--name", p.fork.name, "The new sweep's name (default: the old one with a number)");
  }
  extend->add_option("--seeds", p.extend.seeds, "All seeds, such as 1..5 (those that were trained are taken)");
  extend->add_option("--epochs", p.extend.epochs,
                     "Of every training: goes on from the checkpoints of those that ended");
  extend->add_option("--trials", p.extend.trials,
                     "Draws of a search, in all: those of random and sobol stay, tpe draws its own again");
  extend->add_option("--samples", p.extend.samples, "PARAMETER=N: points of a range; those that stay are taken")
      ->allow_extra_args(false);
}

int report(const Error& error) {
  std::fflush(stdout);
  fmt::print(stderr, "fathom: {}\n", error.message);
  return 1;
}

int parse(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& wrong) {
    // CLI11 prints help on stdout and mistakes on stderr; every mistake is wrong usage.
    return app.exit(wrong) == 0 ? 0 : 2;
  }
  return -1;
}

}  // namespace

int run_app(int argc, char** argv, const std::string& version) {
  CLI::App app("Trains many small adapters on one frozen transformer and finds out which are worth keeping.", "fathom");
  app.set_version_flag("--version", "fathom " + version);
  app.require_subcommand(1);
  app.fallthrough();
  Parsed parsed;
  app.add_option("--state", parsed.state, "State folder (default ${XDG_STATE_HOME:-~/.local/state}/fathom)");
  add_machine(app, parsed);
  add_tokens(app, parsed);
  add_files(app, parsed);
  add_sweeps(app, parsed);
  add_bench(app, parsed);
  add_operations(app, parsed);
  add_forks(app, parsed);
  if (const int code = parse(app, argc, argv); code >= 0) return code;
  std::error_code error;
  parsed.context.version = version;
  parsed.context.programs = programs_folder();
  parsed.context.state =
      fs::absolute(parsed.state.empty() ? default_state() : fs::path(parsed.state), error).lexically_normal();
  try {
    const ExitCode code = parsed.action();
    return code ? *code : report(code.error());
  } catch (const std::exception& unexpected) {
    return report({Errc::internal, unexpected.what()});
  }
}

}  // namespace fathom::cli
