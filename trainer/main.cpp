// fathom-trainer: trains and measures adapters on one frozen base. Started by the worker (--fd), or by hand with a
// subcommand. Exit codes: 0 done, 1 failure, 2 wrong usage.
#include <CLI/CLI.hpp>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <iostream>
#include <regex>

#include "common/log.hpp"
#include "data/links.hpp"
#include "trainer/check/command.hpp"
#include "trainer/engine/bench.hpp"
#include "trainer/engine/devices.hpp"
#include "trainer/engine/predict.hpp"
#include "trainer/engine/service.hpp"
#include "trainer/engine/threads.hpp"
#include "trainer/engine/train_file.hpp"
#include "trainer/parallel/gang_launcher.hpp"
#include "trainer/parallel/mpi_gang.hpp"

namespace {

using namespace fathom::trainer;

struct Arguments {
  ServiceOptions service;
  PredictOptions predict;
  TrainFileOptions train;
  CheckOptions check;
  BenchOptions bench;
  bool devices_json = false, devices_measure = false;
  int threads = 1;
  int ranks = 0;  // 0: as many as mpirun started
  std::vector<std::filesystem::path> links;
  std::string gang_socket;  // of the launcher, where rank 0 finds the worker
  std::string engine = "packed";
  std::string log_level = "info";
};

CLI::Validator known_device() {
  const auto check = [](const std::string& text) -> std::string {
    static const std::regex form("cpu|cuda:[0-9]{1,3}(,cuda:[0-9]{1,3})*");
    return std::regex_match(text, form) ? "" : "'" + text + "' is no device; write cpu or cuda:NUMBER";
  };
  return CLI::Validator(check, "DEVICE");
}

void add_engine(CLI::App& app, Arguments& arguments) {
  app.add_option("--engine", arguments.engine, "What computes passes: packed, or reference (plain autograd, slower)")
      ->check(CLI::IsMember({"packed", "reference"}));
}

void add_prefix(CLI::App& app, PrefixOptions& prefix) {
  app.add_option("--prefix-store", prefix.folder,
                 "Folder for what the frozen base makes of rows that are read again (recipe fast); trainers share it");
  app.add_option("--prefix-limit", prefix.limit, "Most bytes in it; 0: nothing is kept");
}

void add_service(CLI::App& app, Arguments& arguments) {
  add_engine(app, arguments);
  add_prefix(app, arguments.service.prefix);
  app.add_option("--fd", arguments.service.fd, "Socket to the worker, inherited")->check(CLI::NonNegativeNumber);
  app.add_option("--device", arguments.service.device, "cpu or cuda:N; of several ranks cuda:N,cuda:M,…")
      ->check(known_device());
  app.add_option("--threads", arguments.threads, "Compute threads")->check(CLI::Range(1, 1024));
  app.add_option("--ranks", arguments.ranks, "Run one job as so many processes under one mpirun")
      ->check(CLI::Range(1, 1024));
  app.add_option("--gang-socket", arguments.gang_socket, "Of a rank: where its launcher listens")->group("");
  app.add_option("--root", arguments.service.root, "Data root: models and tasks are relative to it");
  app.add_option("--links", arguments.links, "Folder that links below the root may lead to; repeatable");
  app.add_option("--log-level", arguments.log_level, "trace, debug, info, warn or error");
}

CLI::App* add_predict(CLI::App& app, Arguments& arguments) {
  auto* command = app.add_subcommand("predict", "Classify texts with a finished adapter or fusion");
  auto& options = arguments.predict;
  command->add_option("--model", options.model, "Folder of the base model")->required()->check(CLI::ExistingDirectory);
  command
      ->add_option("--adapter", options.adapters,
                   "Folder of an adapter with its head, of a fusion or of a fine-tuned model; repeatable")
      ->required()
      ->allow_extra_args(false)
      ->check(CLI::ExistingDirectory);
  command->add_option("--file", options.file, "More texts, one a line; pairs as TEXT<TAB>TEXT")
      ->check(CLI::ExistingFile);
  command
      ->add_option("--split", options.split,
                   "Instead of texts, the rows of this split of the adapter's task below --root")
      ->check(CLI::IsMember({"dev", "test", "train"}));
  command->add_option("--out", options.out, "With --split: the table that is written");
  command->add_option("--depth", options.depths, "Lowest layers without adapters (default: as trained); one for each")
      ->allow_extra_args(false);
  command->add_option("--threads", arguments.threads, "Compute threads")->check(CLI::Range(1, 1024));
  add_engine(*command, arguments);
  command->add_flag("--json", options.json, "One JSON object a line");
  command->add_option("TEXT", options.texts, "Texts to classify");
  return command;
}

CLI::App* add_train(CLI::App& app, Arguments& arguments) {
  auto* command = app.add_subcommand("train", "Run one job out of a file, without coordinator and worker");
  auto& options = arguments.train;
  command->add_option("JOB", options.job, "File with the job's settings, YAML or JSON")
      ->required()
      ->check(CLI::ExistingFile);
  command->add_option("--trace", options.trace, "Write one JSON line per optimizer step to this file");
  command->add_option("--root", options.root, "Data root: model and task paths are relative to it (default: here)")
      ->check(CLI::ExistingDirectory);
  command->add_option("--folder", options.folder, "Folder of the job (default: JOB without its ending, here)");
  command->add_option("--inputs", options.inputs, "File with the job's inputs")->check(CLI::ExistingFile);
  command->add_option("--ranks", arguments.ranks, "Processes that train the job together (starts them with mpirun)")
      ->check(CLI::Range(1, 1024));
  command->add_option("--threads", arguments.threads, "Compute threads")->check(CLI::Range(1, 1024));
  command->add_option("--device", options.device, "cpu or cuda:N; of several ranks cuda:N,cuda:M,…")
      ->check(known_device());
  add_engine(*command, arguments);
  add_prefix(*command, options.prefix);
  command->add_flag("--json", options.json, "Everything the job says to a worker, as JSON lines");
  return command;
}

CLI::App* add_check(CLI::App& app, Arguments& arguments) {
  auto* command = app.add_subcommand("check", "Compare this build with a folder of reference data");
  auto& options = arguments.check;
  command->add_option("DIR", options.folder, "Folder with manifest.json")->required()->check(CLI::ExistingDirectory);
  command->add_option("--case", options.pattern, "Only cases whose name matches this glob");
  command->add_option("--model", options.models, "NAME=DIR: a base model that the folder does not hold; repeatable")
      ->allow_extra_args(false);
  command->add_option("--threads", arguments.threads, "Compute threads")->check(CLI::Range(1, 1024));
  command->add_flag("--json", options.json, "One JSON object a case");
  return command;
}

CLI::App* add_bench(CLI::App& app, Arguments& arguments) {
  auto* command = app.add_subcommand("bench", "Measure what this machine does with a base model");
  auto& options = arguments.bench;
  command->add_option("--model", options.model, "Folder of the base model")->required()->check(CLI::ExistingDirectory);
  command->add_option("--batch", options.batch, "Rows of a step")->check(CLI::Range(1, 4096));
  command->add_option("--length", options.length, "Tokens of the comparisons' rows")->check(CLI::Range(2, 512));
  command->add_option("--steps", options.steps, "Measured steps of each case")->check(CLI::Range(1, 10000));
  command->add_option("--precision", options.precision, "Of the frozen base")->check(CLI::IsMember({"fp32", "bf16"}));
  command->add_option("--threads", arguments.threads, "Compute threads")->check(CLI::Range(1, 1024));
  add_engine(*command, arguments);
  command->add_flag("--json", options.json, "As one JSON object");
  return command;
}

// This rank's own of the devices; false, after a line on stderr, when it cannot be computed on.
bool take_device(std::string& device) {
  device = device_of_rank(device, rank_of_mpirun());
  const auto there = require_device(device);
  if (!there) std::cerr << "fathom-trainer: " << there.error().message << "\n";
  return there.ok();
}

int run_train(TrainFileOptions& options) {
  if (!take_device(options.device)) return 1;
  if (options.root.empty()) options.root = ".";
  if (options.folder.empty()) options.folder = options.job.stem();
  return train_file(options, std::cout);
}

// Becomes mpirun where ranks are asked for and none were started. Returns an exit code when that fails or does not fit.
int gather_ranks(int wanted, int argc, char** argv) {
  const int started = ranks_of_mpirun();
  if (wanted == 0 || wanted == std::max(started, 1)) return 0;
  if (started > 0) {
    std::cerr << "fathom-trainer: --ranks is " << wanted << ", but mpirun started " << started << "\n";
    return 2;
  }
  std::cerr << "fathom-trainer: " << exec_mpirun(wanted, argc, argv).message << "\n";
  return 1;
}

int serve_ranks(Arguments& arguments) {
  auto& service = arguments.service;
  if (ranks_of_mpirun() == 0) {
    std::vector<std::string> rest = {"--device",       service.device,
                                     "--threads",      std::to_string(arguments.threads),
                                     "--root",         service.root.string(),
                                     "--log-level",    arguments.log_level,
                                     "--engine",       arguments.engine,
                                     "--prefix-store", service.prefix.folder.string(),
                                     "--prefix-limit", std::to_string(service.prefix.limit)};
    for (const auto& folder : arguments.links) rest.insert(rest.end(), {"--links", folder.string()});
    return lead_gang(arguments.ranks, service.fd, rest);
  }
  if (!take_device(service.device)) return 1;
  const auto gang = join_mpirun(service.device);
  if (!gang) throw std::runtime_error(gang.error().message);
  if ((*gang)->leads()) {
    const auto fd = connect_to_launcher(arguments.gang_socket);
    if (!fd) throw std::runtime_error(fd.error().message);
    service.fd = *fd;
  }
  return serve(service, **gang);
}

int run_service(Arguments& arguments) {
  if (arguments.service.root.empty()) {
    std::cerr << "fathom-trainer: --root is missing: the folder that models and tasks are relative to\n";
    return 2;
  }
  auto reachable = arguments.links;
  reachable.push_back(arguments.service.root);
  fathom::data::confine_links(reachable);
  // Ctrl-C reaches the whole group of processes; the worker decides when its trainers end.
  std::signal(SIGINT, SIG_IGN);
  if (arguments.ranks > 1 || !arguments.gang_socket.empty()) return serve_ranks(arguments);
  if (!take_device(arguments.service.device)) return 1;
  return serve(arguments.service);
}

int run(int argc, char** argv) {
  Arguments arguments;
  arguments.service.version = FATHOM_VERSION;
  CLI::App app(
      "Trains many adapters on one frozen transformer. Started by fathom-worker; the subcommands work by hand.");
  app.set_version_flag("--version", "fathom-trainer " FATHOM_VERSION);
  add_service(app, arguments);
  auto* devices = app.add_subcommand("devices", "List what this machine can compute on");
  devices->add_flag("--json", arguments.devices_json, "As one JSON object");
  devices->add_flag("--measure", arguments.devices_measure,
                    "Also how cores are best shared among trainers, where no GPU is");
  auto* predict_command = add_predict(app, arguments);
  auto* train_command = add_train(app, arguments);
  auto* check_command = add_check(app, arguments);
  auto* bench_command = add_bench(app, arguments);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  const auto logging = fathom::init_log({"fathom-trainer", arguments.log_level, "", false});
  if (!logging) {
    std::cerr << "fathom-trainer: " << logging.error().message << "\n";
    return 2;
  }
  const auto engine = parse_engine(arguments.engine).value();
  arguments.service.engine = arguments.train.engine = arguments.predict.engine = arguments.bench.engine = engine;
  // Before the first tensor operation: the pool of threads is made once.
  set_threads(arguments.threads);
  if (devices->parsed()) return print_devices(arguments.devices_json, arguments.devices_measure, std::cout);
  if (predict_command->parsed()) {
    auto& predict_options = arguments.predict;
    predict_options.root = arguments.service.root;
    const bool split = !predict_options.split.empty();
    if (split ? predict_options.out.empty() || predict_options.root.empty()
              : predict_options.texts.empty() && predict_options.file.empty()) {
      std::cerr << (split ? "fathom-trainer predict: --split needs --out, and --root before the command\n"
                          : "fathom-trainer predict: nothing to classify: give a TEXT or --file\n");
      return 2;
    }
    return predict(arguments.predict, std::cout);
  }
  if (train_command->parsed()) {
    if (const int code = gather_ranks(arguments.ranks, argc, argv); code != 0) return code;
  }
  if (train_command->parsed()) return run_train(arguments.train);
  if (bench_command->parsed()) return bench(arguments.bench, std::cout);
  if (check_command->parsed()) return run_check(arguments.check, std::cout);
  if (arguments.service.fd >= 0 || !arguments.gang_socket.empty()) return run_service(arguments);
  std::cerr << app.help();
  return 2;
}

}  // namespace

// Nothing may escape as an abort: every failure ends with a sentence and a code.
int main(int argc, char** argv) {
  prepare_numerics();
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "fathom-trainer: " << error.what() << "\n";
    return 1;
  }
}
