#include "worker/trainer_process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "common/files.hpp"
#include "common/protocol/wire.pb.h"

namespace fathom::worker {
namespace {

// Everything the child needs, made before fork: after it only async-signal-safe calls are allowed.
struct ChildPlan {
  const char* program;
  char* const* arguments;
  char* const* environment;
  const char* scratch;  // working directory; empty: stays where it is
  const Sandbox* sandbox;
  int channel;
  int output;
  int input;
  int report;  // closed by a successful exec; else gets errno
  pid_t parent;
};

[[noreturn]] void give_up(const ChildPlan& plan) {
  const int number = errno;
  [[maybe_unused]] const ssize_t written = ::write(plan.report, &number, sizeof number);
  ::_exit(127);
}

[[noreturn]] void run_child(const ChildPlan& plan) {
  ::setpgid(0, 0);
  ::dup2(plan.input, STDIN_FILENO);
  ::dup2(plan.output, STDOUT_FILENO);
  ::dup2(plan.output, STDERR_FILENO);
  if (*plan.scratch != '\0' && ::chdir(plan.scratch) != 0) give_up(plan);
  if (!plan.sandbox->enter(std::min(plan.channel, plan.report), std::max(plan.channel, plan.report))) give_up(plan);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);            // after enter(): another user's processes forget it
  if (::getppid() != plan.parent) ::_exit(127);  // the worker died before prctl
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::fcntl(plan.channel, F_SETFD, 0);
  ::execve(plan.program, plan.arguments, plan.environment);
  give_up(plan);
}

// Descriptors of the parent that are closed whatever happens.
struct Descriptors {
  int theirs = -1;
  int output = -1;
  int input = -1;
  int report[2] = {-1, -1};
  ~Descriptors() {
    for (const int fd : {theirs, output, input, report[0], report[1]}) {
      if (fd >= 0) ::close(fd);
    }
  }
};

Status open_descriptors(const TrainerCommand& command, Descriptors& fds) {
  fds.output = ::open(command.output.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fds.output < 0) return system_error(errno, "opening", command.output);
  fds.input = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (fds.input < 0) return system_error(errno, "opening", "/dev/null");
  if (::pipe2(fds.report, O_CLOEXEC) != 0) return system_error(errno, "making a pipe for", command.program);
  return success();
}

// errno of a failed exec, 0 when the program runs.
int exec_error(Descriptors& fds) {
  ::close(fds.report[1]);
  fds.report[1] = -1;
  int number = 0;
  ssize_t count = 0;
  do {
    count = ::read(fds.report[0], &number, sizeof number);
  } while (count < 0 && errno == EINTR);
  return count == sizeof number ? number : 0;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> list;
  for (std::string& text : texts) list.push_back(text.data());
  list.push_back(nullptr);
  return list;
}

}  // namespace

Result<std::unique_ptr<Trainer>> TrainerProcess::start(const TrainerCommand& command, Callbacks callbacks,
                                                       const Sandbox& sandbox) {
  Descriptors fds;
  if (!command.scratch.empty()) FATHOM_TRY(sandbox.make_scratch(command.scratch));
  FATHOM_TRY(open_descriptors(command, fds));
  FATHOM_ASSIGN(const SocketPair pair, make_socket_pair());
  fds.theirs = pair.theirs;

  std::vector<std::string> texts = {command.program};
  texts.insert(texts.end(), command.arguments.begin(), command.arguments.end());
  texts.insert(texts.end(), {"--fd", fmt::format("{}", pair.theirs)});
  const std::vector<char*> arguments = pointers(texts);
  std::vector<std::string> variables = sandbox.environment(command.scratch);
  const std::vector<char*> environment = pointers(variables);

  const ChildPlan plan{command.program.c_str(),
                       arguments.data(),
                       environment.data(),
                       command.scratch.c_str(),
                       &sandbox,
                       pair.theirs,
                       fds.output,
                       fds.input,
                       fds.report[1],
                       ::getpid()};
  const pid_t pid = ::fork();
  if (pid == 0) run_child(plan);
  if (pid < 0) {
    const int number = errno;
    ::close(pair.ours);
    return system_error(number, "starting", command.program);
  }
  if (const int number = exec_error(fds); number != 0) {
    ::close(pair.ours);
    ::waitpid(pid, nullptr, 0);
    return system_error(number, "starting the trainer", command.program);
  }
  return std::unique_ptr<Trainer>(new TrainerProcess(pid, pair.ours, command.scratch, std::move(callbacks)));
}

TrainerProcess::TrainerProcess(pid_t pid, int fd, std::string scratch, Callbacks callbacks)
    : pid_(pid), scratch_(std::move(scratch)), channel_(fd), callbacks_(std::move(callbacks)), reader_([this] {
        read();
      }) {}

TrainerProcess::~TrainerProcess() {
  kill();
  reader_.join();
}

void TrainerProcess::kill() {
  channel_.shutdown();
  const std::lock_guard lock(reap_mutex_);
  if (!reaped_) ::kill(-pid_, SIGKILL);
}

void TrainerProcess::read() {
  for (;;) {
    auto envelope = channel_.receive(Millis(60'000));
    if (!envelope) {
      if (envelope.error().code != Errc::unavailable) {
        spdlog::error("trainer sent no frame pid={} error=\"{}\"", pid_, envelope.error().message);
      }
      break;
    }
    if (envelope->has_value()) callbacks_.on_envelope(std::make_shared<wire::Envelope>(std::move(**envelope)));
  }
  const int status = reap();
  std::error_code ignored;
  if (!scratch_.empty()) std::filesystem::remove_all(scratch_, ignored);
  callbacks_.on_exit(status);
}

// A trainer whose channel has ended is given a moment to leave by itself, so that its exit code is its own.
int TrainerProcess::reap() {
  int status = 0;
  for (int tries = 0; tries < 300; ++tries) {
    siginfo_t info{};
    if (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid_) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  const std::lock_guard lock(reap_mutex_);
  ::kill(-pid_, SIGKILL);  // what it may have started goes with it
  reaped_ = true;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

std::string describe_exit(int wait_status) {
  if (WIFSIGNALED(wait_status)) {
    return fmt::format("signal {} ({})", WTERMSIG(wait_status), ::strsignal(WTERMSIG(wait_status)));
  }
  return fmt::format("exit code {}", WEXITSTATUS(wait_status));
}

}  // namespace fathom::worker
