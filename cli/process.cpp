#include "cli/process.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/files.hpp"

namespace fathom::cli {

namespace {

// In the child, between fork and exec: only calls that are safe after fork in a process with threads.
[[noreturn]] void become(char* const* arguments, int log, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != parent) ::_exit(127);  // the parent died before prctl
  ::setpgid(0, 0);                          // Ctrl-C in a terminal reaches the supervisor alone, which ends us in order
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  const int nothing = ::open("/dev/null", O_RDONLY);
  ::dup2(nothing, STDIN_FILENO);
  ::dup2(log, STDOUT_FILENO);
  ::dup2(log, STDERR_FILENO);
  ::execv(arguments[0], arguments);
  ::_exit(127);
}

}  // namespace

Result<pid_t> start_process(const std::vector<std::string>& arguments, const std::string& log) {
  if (::access(arguments[0].c_str(), X_OK) != 0) return system_error(errno, "run", arguments[0]);
  const int file = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (file < 0) return system_error(errno, "open", log);
  std::vector<char*> plain;
  for (const std::string& argument : arguments) plain.push_back(const_cast<char*>(argument.c_str()));
  plain.push_back(nullptr);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) become(plain.data(), file, parent);
  const int number = errno;
  ::close(file);
  if (pid < 0) return system_error(number, "start", arguments[0]);
  return pid;
}

std::string describe_exit(int status) {
  if (WIFEXITED(status)) return "ended with exit code " + std::to_string(WEXITSTATUS(status));
  if (!WIFSIGNALED(status)) return "changed its state";
  return "was killed by signal " + std::to_string(WTERMSIG(status)) + " (" + ::strsignal(WTERMSIG(status)) + ")";
}

std::string last_words(const std::string& log) {
  std::ifstream in(log);
  in.seekg(0, std::ios::end);
  const auto size = static_cast<long>(in.tellg());
  in.seekg(size > 8192 ? size - 8192 : 0);
  std::string last;
  std::string telling;
  for (std::string line; std::getline(in, line);) {
    if (line.empty()) continue;
    last = line;
    const bool complaint = line.find("level=error") != std::string::npos ||
                           line.find("level=critical") != std::string::npos ||
                           (line.starts_with("fathom-") && line.find(" listens on ") == std::string::npos);
    if (complaint) telling = line;
  }
  return telling.empty() ? last : telling;
}

void rotate_log(const std::string& log) {
  std::error_code error;
  const auto size = std::filesystem::file_size(log, error);
  if (!error && size > (16U << 20)) std::filesystem::rename(log, log + ".1", error);
}

}  // namespace fathom::cli
