#include "cli/context.hpp"

#include <charconv>
#include <cstdlib>
#include <system_error>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "common/files.hpp"

namespace fathom::cli {

fs::path default_state() {
  const char* state = std::getenv("XDG_STATE_HOME");
  if (state != nullptr && *state == '/') return fs::path(state) / "fathom";
  const char* home = std::getenv("HOME");
  return fs::path(home != nullptr ? home : "/") / ".local/state/fathom";
}

fs::path programs_folder() {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  return error ? fs::path(".") : self.parent_path();
}

int lock_holder(const Context& context) {
  const int file = ::open(up_lock_file(context).c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  // A lock that can be taken is held by nobody: the pid in the file is of a process that has ended.
  const bool held = ::flock(file, LOCK_SH | LOCK_NB) != 0;
  char text[32] = {};
  const ssize_t length = held ? ::read(file, text, sizeof text - 1) : 0;
  ::close(file);
  int pid = 0;
  if (length > 0) std::from_chars(text, text + length, pid);
  return pid;
}

Result<UpInfo> running_up(const Context& context) {
  const Error absent{Errc::not_found,
                     "nothing runs for the state folder " + context.state.string() + ": start it with 'fathom up'"};
  UpInfo info;
  info.pid = lock_holder(context);
  if (info.pid == 0) return absent;
  const auto text = read_file(up_info_file(context).string(), 1 << 16);
  if (!text) return absent;
  const auto json = nlohmann::json::parse(*text, nullptr, false);
  if (!json.is_object() || json.value("pid", 0) != info.pid) return absent;  // of an earlier one: not ready yet
  info.address = json.value("address", "");
  info.root = json.value("root", "");
  info.dashboard_port = json.value("dashboard_port", 0);
  return info;
}

std::string data_root(const Context& context, const std::string& given) {
  if (!given.empty()) return given;
  const auto running = running_up(context);
  return running ? running->root : ".";
}

}  // namespace fathom::cli
