// fathom-coordinator: settings from file, environment and flags; one Coordinator; signals. With a subcommand it looks
// after a state folder in which no coordinator runs instead.
// Exit: 0 after SIGTERM or SIGINT, 1 when it cannot start or its store fails, 2 for usage.
#include <malloc.h>
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <iostream>
#include <optional>

#include "common/log.hpp"
#include "coordinator/api/coordinator.hpp"
#include "coordinator/api/state_folder.hpp"
#include "coordinator/maintenance/commands.hpp"
#include "coordinator/settings.hpp"
#include "coordinator/simulate/command.hpp"

namespace {

using fathom::Config;
using fathom::Status;
using fathom::coordinator::Settings;

constexpr int kFailure = 1;
constexpr int kUsage = 2;

struct Flags {
  std::string config;
  std::optional<std::string> state, listen, log_level, log_file;
  std::vector<std::string> hosts;
  std::optional<std::uint64_t> lease_ms, heartbeat_ms;
};

void declare(CLI::App& app, Flags& flags) {
  app.set_version_flag("--version", std::string("fathom-coordinator ") + FATHOM_VERSION);
  app.add_option("--config", flags.config, "Settings file; configs/coordinator.yaml explains every key");
  app.add_option("--state", flags.state, "State folder (default: ${XDG_STATE_HOME:-~/.local/state}/fathom)");
  app.add_option("--listen", flags.listen, "HOST:PORT; port 0 takes a free one (default: 127.0.0.1:7447)");
  app.add_option("--hostname", flags.hosts, "One more name for the certificate; may be repeated");
  app.add_option("--lease-ms", flags.lease_ms, "A worker silent for so long loses its jobs (default: 15000)");
  app.add_option("--heartbeat-ms", flags.heartbeat_ms, "How often workers renew their leases (default: 3000)");
  app.add_option("--log-level", flags.log_level, "trace, debug, info, warn or error");
  app.add_option("--log-file", flags.log_file, "Where the log goes (default: standard error)");
}

Status apply(const Flags& flags, Config& config, Settings& settings) {
  if (!flags.config.empty()) FATHOM_TRY(config.read_file(flags.config));
  FATHOM_TRY(config.read_environment("FATHOM_COORDINATOR_"));
  if (flags.state) settings.state = *flags.state;
  if (flags.listen) settings.listen = *flags.listen;
  settings.hosts.insert(settings.hosts.end(), flags.hosts.begin(), flags.hosts.end());
  if (flags.lease_ms) FATHOM_TRY(config.set("lease", std::to_string(*flags.lease_ms) + "ms", "--lease-ms"));
  if (flags.heartbeat_ms) {
    FATHOM_TRY(config.set("heartbeat", std::to_string(*flags.heartbeat_ms) + "ms", "--heartbeat-ms"));
  } else if (flags.lease_ms) {
    settings.heartbeat = std::min(settings.heartbeat, settings.lease / 4);
  }
  if (flags.log_level) FATHOM_TRY(config.set("log.level", *flags.log_level, "--log-level"));
  if (flags.log_file) settings.log_file = *flags.log_file;
  if (settings.heartbeat * 3 > settings.lease) {
    return fathom::Error{fathom::Errc::invalid_argument, "heartbeat must be at most a third of lease"};
  }
  return fathom::success();
}

int fail(const std::string& message, int code) {
  std::cerr << "fathom-coordinator: " << message << '\n';
  return code;
}

// Set by the store's thread when it failed; the signal wakes main.
std::atomic<bool> broken{false};

int serve(const Settings& settings) {
  // Requests go from thread to thread: with an arena for each, as glibc makes them, every one meets cold memory.
  mallopt(M_ARENA_MAX, 2);
  // A submit makes thousands of small pieces and a few large ones, for each of which glibc would tidy up all that is in
  // its bins of small free pieces.
  mallopt(M_MXFAST, 0);
  // Blocked before any thread starts, so that only main takes them, by sigwait.
  sigset_t stop_signals;
  sigemptyset(&stop_signals);
  sigaddset(&stop_signals, SIGTERM);
  sigaddset(&stop_signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &stop_signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  auto coordinator = fathom::api::Coordinator::start(settings, FATHOM_VERSION, [](const fathom::Error&) {
    if (!broken.exchange(true)) kill(getpid(), SIGTERM);
  });
  if (!coordinator) return fail(coordinator.error().message, kFailure);
  std::cout << "fathom-coordinator listens on " << fathom::net::to_text((*coordinator)->endpoint()) << std::endl;
  int received = 0;
  sigwait(&stop_signals, &received);
  (*coordinator)->stop();
  return broken ? kFailure : 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Fathom's coordinator: decides, remembers and serves");
  Flags flags;
  declare(app, flags);
  fathom::maintenance::CommandFlags command;
  fathom::maintenance::declare_commands(app, command);
  fathom::simulate::SimulateFlags simulation;
  fathom::simulate::declare_command(app, simulation);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kUsage;
  }
  if (const int code = fathom::simulate::run_command(app, simulation, std::cout); code >= 0) return code;
  Settings settings;
  Config config;
  fathom::coordinator::bind(config, settings);
  if (auto applied = apply(flags, config, settings); !applied) return fail(applied.error().message, kUsage);
  const std::string state = settings.state.empty() ? fathom::api::default_state_folder() : settings.state;
  if (const int code = fathom::maintenance::run_command(app, command, state, FATHOM_VERSION, std::cout); code >= 0) {
    return code;
  }
  fathom::LogOptions log{"fathom-coordinator", settings.log_level, settings.log_file, settings.log_format == "json"};
  if (auto ready = fathom::init_log(log); !ready) return fail(ready.error().message, kFailure);
  return serve(settings);
}
