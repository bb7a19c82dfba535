#include "trainer/parallel/gang_launcher.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <iostream>

#include "common/files.hpp"
#include "trainer/parallel/mpi_gang.hpp"

namespace fathom::trainer {
namespace {

namespace fs = std::filesystem;

constexpr int kLook = 100;  // milliseconds between two looks whether mpirun still lives

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return Error{Errc::invalid_argument, path + " is too long for a socket: set TMPDIR to a shorter folder"};
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

// A listening socket in a folder that nobody else can enter; both are gone with it.
class Door {
 public:
  ~Door() {
    if (fd_ >= 0) ::close(fd_);
    std::error_code ignored;
    if (!folder_.empty()) fs::remove_all(folder_, ignored);
  }
  Status open() {
    std::string pattern = (fs::temp_directory_path() / "fathom-gang-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) return system_error(errno, "making the folder", pattern);
    folder_ = pattern;
    FATHOM_ASSIGN(const sockaddr_un address, address_of(path()));
    fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd_ < 0 || ::bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(fd_, 1) != 0)
      return system_error(errno, "listening on", path());
    return success();
  }
  [[nodiscard]] std::string path() const { return (folder_ / "s").string(); }
  [[nodiscard]] int fd() const { return fd_; }

 private:
  fs::path folder_;
  int fd_ = -1;
};

[[noreturn]] void become(std::vector<std::string> command, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);  // it died before prctl
  std::vector<char*> arguments;
  for (auto& text : command) arguments.push_back(text.data());
  arguments.push_back(nullptr);
  ::execvp(arguments[0], arguments.data());
  const std::string line = command[0] + " cannot be started (Debian's openmpi-bin): " + std::strerror(errno) + "\n";
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
  ::_exit(127);
}

// Whether mpirun has ended; its wait status stays for later.
bool ended(pid_t pid) {
  siginfo_t info{};
  return ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid;
}

// Rank 0's connection; -1: mpirun ended, or the worker left, before it came.
int await_first_rank(int door, int worker, pid_t mpirun) {
  for (;;) {
    std::array<pollfd, 2> waiting = {{{door, POLLIN, 0}, {worker, POLLRDHUP, 0}}};
    ::poll(waiting.data(), waiting.size(), kLook);
    if ((waiting[0].revents & POLLIN) != 0) return ::accept4(door, nullptr, nullptr, SOCK_CLOEXEC);
    if ((waiting[1].revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0 || ended(mpirun)) return -1;
  }
}

// Passes on what there is; false: one side has ended.
bool pass_on(int from, int to) {
  std::array<char, 1 << 16> buffer{};
  const ssize_t count = ::recv(from, buffer.data(), buffer.size(), 0);
  if (count < 0 && errno == EINTR) return true;
  if (count <= 0) return false;
  for (ssize_t at = 0; at < count;) {
    const ssize_t sent = ::send(to, buffer.data() + at, static_cast<std::size_t>(count - at), MSG_NOSIGNAL);
    if (sent < 0 && errno != EINTR) return false;
    if (sent > 0) at += sent;
  }
  return true;
}

// Until either side ends. True: it was rank 0's.
bool relay(int worker, int rank) {
  for (;;) {
    std::array<pollfd, 2> waiting = {{{rank, POLLIN, 0}, {worker, POLLIN, 0}}};
    if (::poll(waiting.data(), waiting.size(), -1) < 0 && errno != EINTR) return false;
    // Rank 0 first: its last words are worth more than what it is told.
    if (waiting[0].revents != 0 && !pass_on(rank, worker)) return true;
    if (waiting[1].revents != 0 && !pass_on(worker, rank)) return false;
  }
}

int exit_code(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

int lead_gang(int ranks, int fd, std::vector<std::string> arguments) {
  ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  Door door;
  if (const Status opened = door.open(); !opened) {
    std::cerr << "fathom-trainer: " << opened.error().message << "\n";
    return 1;
  }
  arguments.insert(arguments.end(), {"--gang-socket", door.path()});
  const auto command = mpirun_command(ranks, fs::read_symlink("/proc/self/exe").string(), arguments);
  const pid_t self = ::getpid();
  const pid_t mpirun = ::fork();
  if (mpirun == 0) become(command, self);
  if (mpirun < 0) {
    std::cerr << "fathom-trainer: cannot start mpirun: " << std::strerror(errno) << "\n";
    return 1;
  }
  const int rank = await_first_rank(door.fd(), fd, mpirun);
  // Without a worker there is nothing to wait for; a gang whose rank 0 has left ends by itself.
  if (rank < 0 || !relay(fd, rank)) ::kill(mpirun, SIGTERM);
  const int code = exit_code(mpirun);
  return rank < 0 && code == 0 ? 1 : code;
}

Result<int> connect_to_launcher(const std::string& path) {
  FATHOM_ASSIGN(const sockaddr_un address, address_of(path));
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd >= 0 && ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
  const int number = errno;
  if (fd >= 0) ::close(fd);
  return system_error(number, "connecting to", path);
}

}  // namespace fathom::trainer
