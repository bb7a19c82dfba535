// fathom-worker: joins a coordinator and runs its jobs on this machine's devices. See docs/protocol.md.
// Exit codes: 0 drained after SIGTERM or SIGINT; 1 failure; 2 wrong usage.
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <thread>

#include "common/config.hpp"
#include "common/files.hpp"
#include "common/log.hpp"
#include "common/net/endpoint.hpp"
#include "common/net/secrets.hpp"
#include "common/wait_policy.hpp"
#include "worker/agent.hpp"
#include "worker/credentials.hpp"
#include "worker/enroll.hpp"
#include "worker/machine.hpp"
#include "worker/options.hpp"

namespace fathom::worker {
namespace {

namespace fs = std::filesystem;

// Flags as they were typed; the config knows their keys and checks them.
struct Flag {
  std::string name;
  std::string key;
  std::string help;
  std::string value;
};

std::vector<Flag> all_flags() {
  return {{"--coordinator", "coordinator", "HOST:PORT of the coordinator", {}},
          {"--join-token", "join_token", "file with a join token; needed until the worker has a certificate", {}},
          {"--ca", "ca", "CA certificate of the coordinator; without it the join token's fingerprint is believed", {}},
          {"--state", "state", "state folder (default $XDG_STATE_HOME/fathom/worker)", {}},
          {"--root", "root", "folder that model and data paths are relative to", {}},
          {"--devices", "devices", "auto (default), or cpu:THREADS and cuda:NUMBER, separated by commas", {}},
          {"--slots", "slots", "jobs at once on one device (default 2)", {}},
          {"--trainer", "trainer.program", "the trainer program (default: fathom-trainer beside this one)", {}},
          {"--name", "name", "the worker's name for people", {}},
          {"--log-level", "log.level", "trace, debug, info, warn or error", {}}};
}

Status read_config(Config& config, const std::string& file, const CLI::App& app, const std::vector<Flag>& flags) {
  if (!file.empty()) FATHOM_TRY(config.read_file(file));
  FATHOM_TRY(config.read_environment("FATHOM_WORKER_"));
  for (const Flag& flag : flags) {
    if (app.count(flag.name) > 0) FATHOM_TRY(config.set(flag.key, flag.value, flag.name));
  }
  return success();
}

std::string beside_this_program(const std::string& name) {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  return error ? name : (self.parent_path() / name).string();
}

Status check_trainer(const std::string& program) {
  if (::access(program.c_str(), X_OK) == 0 && !fs::is_directory(program)) return success();
  return Error{Errc::not_found,
               "there is no trainer program " + program + "; build it, or name another with --trainer"};
}

// What `fathom-trainer devices --json --measure` prints; empty when it cannot be asked, which leaves the CPU.
std::string ask_for_devices(const std::string& trainer) {
  const std::string command = "'" + trainer + "' devices --json --measure 2>/dev/null";
  std::string text;
  if (trainer.find('\'') != std::string::npos) return text;
  std::FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return text;
  std::array<char, 4096> buffer{};
  while (const std::size_t count = std::fread(buffer.data(), 1, buffer.size(), pipe)) text.append(buffer.data(), count);
  ::pclose(pipe);
  return text;
}

Result<std::vector<DeviceSpec>> find_devices(const Options& options) {
  const bool choose = options.devices == std::vector<std::string>{"auto"};
  const std::string listed = choose ? ask_for_devices(options.trainer) : std::string();
  return parse_devices(choose_devices(options.devices, listed, std::thread::hardware_concurrency()), options.slots);
}

Result<AgentSetup> make_setup(Options options) {
  AgentSetup setup;
  setup.version = FATHOM_VERSION;
  setup.machine = describe_machine();
  FATHOM_ASSIGN(setup.link.coordinator, net::parse_endpoint(options.coordinator));
  if (!options.ca.empty()) setup.link.expect_host = setup.link.coordinator.host;
  setup.link.first_pause = options.reconnect_first;
  setup.link.most_pause = options.reconnect_most;

  if (options.trainer.empty()) options.trainer = beside_this_program("fathom-trainer");
  options.trainer = fs::absolute(options.trainer).string();
  FATHOM_TRY(check_trainer(options.trainer));
  FATHOM_ASSIGN(setup.devices, find_devices(options));
  if (!fs::is_directory(options.root)) {
    return Error{Errc::not_found, "there is no folder " + options.root + " for models and data; name it with --root"};
  }
  options.root = fs::canonical(options.root).string();
  FATHOM_ASSIGN(setup.sandbox,
                Sandbox::make(options.trainer_user, options.trainer_memory.value, options.trainer_environment));
  if (options.name.empty()) options.name = setup.machine.host;
  if (options.state.empty()) options.state = default_state_folder();
  setup.options = std::move(options);
  return setup;
}

// Whether the certificate that is held is to be shown, or the join token to be traded for one.
Result<bool> must_join(const Options& options, const Credentials& credentials) {
  const Error needed{Errc::invalid_argument,
                     "--join-token FILE is needed: what \"fathom token create NAME --role worker\" "
                     "printed, or the file join-token in the coordinator's state folder"};
  const bool good = credentials.held() && !credentials.expired(SystemClock().wall());
  if (options.join_token.empty()) return good ? Result<bool>(false) : Result<bool>(needed);
  const auto text = read_file(options.join_token, 4096);
  if (good && !text) return false;  // the token was used and thrown away
  if (!text) return text.error();
  FATHOM_ASSIGN(const net::JoinToken token, net::parse_join_token(*text));
  // A token of another coordinator is an order to go there.
  return !good || token.ca_sha256 != credentials.ca_sha256();
}

// Fills in what the link needs to be believed.
Status identify(AgentSetup& setup, const StateFolder& state) {
  const Options& options = setup.options;
  setup.credentials = std::make_shared<Credentials>(state.path());
  FATHOM_TRY(setup.credentials->load());
  FATHOM_ASSIGN(const bool join, must_join(options, *setup.credentials));
  if (join) {
    const Enrollment enrollment{setup.link, options.ca, options.join_token, state.uid(), options.name};
    FATHOM_TRY(enroll(enrollment, *setup.credentials));
  }
  FATHOM_ASSIGN(setup.link.tls, setup.credentials->tls(options.ca));
  return success();
}

int complain(const Error& error) {
  std::fprintf(stderr, "fathom-worker: %s\n", error.message.c_str());
  return error.code == Errc::invalid_argument ? 2 : 1;
}

// SIGTERM and SIGINT drain; the second one ends at once. Signals are blocked in every thread but this one waits for
// them.
int run_until_signal(AgentSetup setup, const StateFolder& state) {
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int number : {SIGTERM, SIGINT, SIGUSR1}) ::sigaddset(&signals, number);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);

  Agent agent(std::move(setup), state);
  std::thread waiter([&agent, signals] {
    for (int number = 0; ::sigwait(&signals, &number) == 0 && number != SIGUSR1;) agent.drain();
  });
  const int code = agent.run();
  ::pthread_kill(waiter.native_handle(), SIGUSR1);
  waiter.join();
  return code;
}

int start(const std::string& config_file, const CLI::App& app, const std::vector<Flag>& flags) {
  Options options;
  Config config;
  bind_options(config, options);
  if (auto read = read_config(config, config_file, app, flags); !read) return complain(read.error());
  if (auto log = init_log({"fathom-worker", options.log_level, "", options.log_json}); !log)
    return complain(log.error());
  auto setup = make_setup(options);
  if (!setup) return complain(setup.error());
  auto state = StateFolder::open(setup->options.state);
  if (!state) return complain(state.error());
  if (auto known = identify(*setup, *state); !known) return complain(known.error());
  if (auto given = setup->sandbox.give(state->prefix()); !given) return complain(given.error());
  return run_until_signal(std::move(*setup), *state);
}

}  // namespace
}  // namespace fathom::worker

int main(int argc, char** argv) {
  fathom::set_wait_policy();
  CLI::App app("Runs a coordinator's jobs on this machine.", "fathom-worker");
  app.set_version_flag("--version", FATHOM_VERSION);
  std::string config_file;
  bool print_config = false;
  app.add_option("--config", config_file, "YAML file, see configs/worker.yaml");
  app.add_flag("--print-config", print_config, "print every key with its default and leave");
  auto flags = fathom::worker::all_flags();
  for (auto& flag : flags) app.add_option(flag.name, flag.value, flag.help);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  try {
    if (print_config) {
      fathom::worker::Options options;
      fathom::Config config;
      fathom::worker::bind_options(config, options);
      std::fputs(config.describe().c_str(), stdout);
      return 0;
    }
    return fathom::worker::start(config_file, app, flags);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "fathom-worker: %s\n", error.what());
    return 1;
  }
}
