// up, down, dashboard: the processes of this machine.
#include <cerrno>
#include <csignal>
#include <thread>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/client.hpp"
#include "cli/commands.hpp"
#include "common/files.hpp"
#include "common/log.hpp"

namespace fathom::cli {

using nlohmann::ordered_json;

namespace {

ordered_json to_json(const UpInfo& info) {
  return {{"pid", info.pid}, {"address", info.address}, {"root", info.root}, {"dashboard_port", info.dashboard_port}};
}

void print_up(const Context& context, const UpInfo& info, bool fresh) {
  if (context.json) {
    fmt::print("{}\n", to_json(info).dump());
    return;
  }
  fmt::print("{}: coordinator {} (pid {}), models and data below {}\n",
             fresh ? "Fathom runs" : "Fathom is already running", info.address, info.pid, info.root);
  fmt::print("Dashboard: 'fathom dashboard' prints a link that logs your browser in. Stop with 'fathom down'.\n");
}

// Checked here, so that a wrong folder is told before anything starts.
Status complete(UpOptions& options) {
  std::error_code error;
  const fs::path root = fs::canonical(options.root, error);
  if (error || !fs::is_directory(root, error)) {
    return Error{Errc::not_found, "there is no folder " + options.root + " for models and data; name it with --root"};
  }
  options.root = root.string();
  if (options.devices.empty()) options.devices = {"auto"};  // the worker looks what there is
  return success();
}

// What the supervisor writes to the ready pipe, and back.
std::string to_line(const Result<UpInfo>& result) {
  if (result) return to_json(*result).dump() + "\n";
  return ordered_json{{"error", result.error().message}}.dump() + "\n";
}

Result<UpInfo> from_line(const std::string& line, const std::string& log) {
  const auto json = nlohmann::json::parse(line, nullptr, false);
  if (!json.is_object()) return Error{Errc::internal, "the background process ended at once; see " + log};
  if (json.contains("error")) return Error{Errc::failed_precondition, json.value("error", "")};
  return UpInfo{json.value("pid", 0), json.value("address", ""), json.value("root", ""),
                json.value("dashboard_port", 0)};
}

int supervise(const Context& context, const UpOptions& options) {
  const Supervisor::Announce announce = [&](const Result<UpInfo>& result) {
    if (options.ready_fd >= 0) {
      const std::string line = to_line(result);
      if (::write(options.ready_fd, line.data(), line.size()) < 0) return;  // the other side is gone: go on alone
      ::close(options.ready_fd);
    } else if (result) {
      print_up(context, *result, true);
      std::fflush(stdout);
    } else {
      fmt::print(stderr, "fathom: {}\n", result.error().message);
    }
  };
  return Supervisor(context, options, announce).run();
}

// In the child of the fork: a session of its own, output in the log, then this program again.
[[noreturn]] void become_background(const std::vector<char*>& arguments, int log) {
  ::setsid();
  const int nothing = ::open("/dev/null", O_RDONLY);
  ::dup2(nothing, STDIN_FILENO);
  ::dup2(log, STDOUT_FILENO);
  ::dup2(log, STDERR_FILENO);
  ::execv("/proc/self/exe", arguments.data());
  ::_exit(127);
}

std::vector<std::string> background_arguments(const Context& context, const UpOptions& options, int ready_fd) {
  std::vector<std::string> out = {"fathom",
                                  "--state",
                                  context.state.string(),
                                  "up",
                                  "--foreground",
                                  "--root",
                                  options.root,
                                  "--port",
                                  std::to_string(options.port),
                                  "--dashboard-port",
                                  std::to_string(options.dashboard_port),
                                  "--ready-fd",
                                  std::to_string(ready_fd)};
  for (const std::string& device : options.devices) out.insert(out.end(), {"--devices", device});
  return out;
}

// Everything the background process says until it closes its end of the pipe or has said a whole line.
std::string read_line(int file) {
  std::string line;
  char buffer[4096];
  while (line.find('\n') == std::string::npos) {
    const ssize_t got = ::read(file, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    line.append(buffer, static_cast<std::size_t>(got));
  }
  return line;
}

Result<UpInfo> start_background(const Context& context, const UpOptions& options) {
  FATHOM_TRY(make_folders(context.state.string(), 0700));
  const std::string log = (context.state / "up.log").string();
  const int log_file = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (log_file < 0) return system_error(errno, "open", log);
  int pipe[2];
  if (::pipe2(pipe, O_CLOEXEC) != 0) return system_error(errno, "open", "a pipe");
  ::fcntl(pipe[1], F_SETFD, 0);  // the only descriptor besides the standard three that the child keeps
  std::vector<std::string> arguments = background_arguments(context, options, pipe[1]);
  std::vector<char*> plain;
  for (std::string& argument : arguments) plain.push_back(argument.data());
  plain.push_back(nullptr);
  const pid_t pid = ::fork();
  if (pid == 0) become_background(plain, log_file);
  ::close(log_file);
  ::close(pipe[1]);
  const std::string line = pid > 0 ? read_line(pipe[0]) : "";
  ::close(pipe[0]);
  return from_line(line, log);
}

bool ends_soon(const Context& context, int pid, Millis patience) {
  const TimePoint limit = SystemClock().now() + patience;
  while (lock_holder(context) == pid) {
    if (SystemClock().now() > limit) return false;
    std::this_thread::sleep_for(Millis{20});
  }
  return true;
}

Result<std::string> login_link(const Context& context, int port) {
  FATHOM_ASSIGN(Client client, Client::open(context));
  FATHOM_ASSIGN(const nlohmann::json login, client.post("/api/v1/logins", nlohmann::json::object()));
  return fmt::format("http://127.0.0.1:{}{}", port, login.value("path", "/"));
}

void print_link(const Context& context, const std::string& link) {
  fmt::print("{}\n", context.json ? ordered_json{{"url", link}}.dump() : link);
  std::fflush(stdout);
}

}  // namespace

ExitCode up(const Context& context, UpOptions options) {
  FATHOM_TRY(complete(options));
  if (options.foreground) {
    FATHOM_TRY(init_log({"fathom", "info", "", false}));
    return supervise(context, options);
  }
  if (const auto running = running_up(context)) {
    print_up(context, *running, false);
    return 0;
  }
  FATHOM_ASSIGN(const UpInfo info, start_background(context, options));
  print_up(context, info, true);
  return 0;
}

Status ensure_up(const Context& context, UpOptions options) {
  if (running_up(context)) return success();
  FATHOM_TRY(complete(options));
  FATHOM_ASSIGN(const UpInfo info, start_background(context, options));
  if (!context.json) print_up(context, info, true);
  return success();
}

ExitCode down(const Context& context) {
  const int pid = lock_holder(context);
  if (pid > 0) {
    ::kill(pid, SIGTERM);
    if (!ends_soon(context, pid, Millis{40'000})) {
      return Error{Errc::unavailable,
                   fmt::format("process {} does not end; see {}", pid, (context.state / "up.log").string())};
    }
  }
  if (context.json) {
    fmt::print("{}\n", ordered_json{{"stopped", pid > 0}}.dump());
  } else {
    fmt::print("{}\n", pid > 0 ? "Fathom has stopped." : "Nothing was running.");
  }
  return 0;
}

ExitCode dashboard(const Context& context, bool print) {
  if (const auto running = running_up(context)) {
    FATHOM_ASSIGN(const std::string link, login_link(context, running->dashboard_port));
    print_link(context, link);
    return 0;
  }
  if (print)
    return Error{Errc::failed_precondition, "no 'fathom up' relays the dashboard; start it, or leave --print away"};
  FATHOM_ASSIGN(const Contact coordinator, contact(context));
  sigset_t ends;
  ::sigemptyset(&ends);
  for (const int signal : {SIGTERM, SIGINT}) ::sigaddset(&ends, signal);
  ::pthread_sigmask(SIG_BLOCK, &ends, nullptr);  // before the forwarder's thread starts
  FATHOM_ASSIGN(const auto forwarder, Forwarder::start(coordinator, UpOptions{}.dashboard_port));
  FATHOM_ASSIGN(const std::string link, login_link(context, forwarder->port()));
  print_link(context, link);
  if (!context.json) fmt::print("The link works once, while this command runs. Ctrl-C ends it.\n");
  std::fflush(stdout);
  int signal = 0;
  ::sigwait(&ends, &signal);
  return 0;
}

}  // namespace fathom::cli
