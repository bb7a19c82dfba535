#include "coordinator/api/state_folder.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "common/files.hpp"
#include "common/leftover.hpp"
#include "common/net/secrets.hpp"

namespace fathom::api {
namespace {

constexpr const char* kVersion = "fathom 1\n";

}  // namespace

std::string default_state_folder() {
  if (const char* state = std::getenv("XDG_STATE_HOME"); state != nullptr && *state == '/')
    return std::string(state) + "/fathom";
  const char* home = std::getenv("HOME");
  return std::string(home == nullptr ? "." : home) + "/.local/state/fathom";
}

StateFolder::StateFolder(StateFolder&& other) noexcept
    : path_(std::move(other.path_)),
      lock_(std::exchange(other.lock_, -1)),
      identity_(std::move(other.identity_)),
      admin_token_(std::move(other.admin_token_)) {}

StateFolder::~StateFolder() {
  if (lock_ >= 0) ::close(lock_);
}

Result<StateFolder> StateFolder::open(const std::string& path, const std::vector<std::string>& hosts) {
  StateFolder folder(path, -1);
  // The version first: nothing may be written into a folder that is not ours.
  FATHOM_TRY(folder.check_version());
  FATHOM_TRY(make_folders(path, 0700));
  FATHOM_TRY(make_folders(folder.inner(""), 0700));
  FATHOM_TRY(folder.take_lock());
  FATHOM_TRY(write_file_atomic(path + "/VERSION", kVersion));
  FATHOM_TRY(folder.make_secrets(hosts));
  return folder;
}

Status StateFolder::check_version() const {
  std::error_code error;
  if (!std::filesystem::exists(path_, error)) return success();
  const auto version = read_file(path_ + "/VERSION", 256);
  if (version) {
    if (*version == kVersion) return success();
    const std::string found = version->substr(0, version->find('\n'));
    return Error{Errc::unsupported,
                 path_ + " was made by another version of Fathom (\"" + found +
                     "\", this one reads \"fathom 1\"); use that version, or another folder with --state"};
  }
  if (version.error().code != Errc::not_found) return version.error();
  // `fathom up` may have put its own files there before; anything else is somebody's folder.
  for (const auto& entry : std::filesystem::directory_iterator(path_, error)) {
    const std::string name = entry.path().filename();
    if (name == "worker" || name == "coordinator" || name.starts_with("up")) continue;
    if (is_leftover_of(name, "VERSION")) continue;  // of a first start that was killed
    return Error{Errc::already_exists, path_ + " is no state folder of Fathom (it holds " + name +
                                           " and no VERSION); name an empty or new one with --state"};
  }
  if (error) return Error{Errc::invalid_argument, path_ + " cannot be used as the state folder: " + error.message()};
  return success();
}

Status StateFolder::take_lock() {
  const std::string file = inner("lock");
  lock_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock_ < 0) return system_error(errno, "opening", file);
  if (::flock(lock_, LOCK_EX | LOCK_NB) == 0) return success();
  if (errno != EWOULDBLOCK) return system_error(errno, "locking", file);
  return Error{Errc::failed_precondition, "another coordinator is running in " + path_ +
                                              "; stop it (fathom down), or use another folder with --state"};
}

Status StateFolder::make_secrets(const std::vector<std::string>& hosts) {
  FATHOM_ASSIGN(identity_, net::ensure_identity(inner("tls"), hosts));
  FATHOM_ASSIGN(admin_token_, net::ensure_secret_file(path_ + "/token"));
  ::unlink(inner("join-secret").c_str());  // the one secret of all workers, before they had certificates
  return success();
}

Status StateFolder::write_address(const net::Endpoint& endpoint) const {
  return write_file_atomic(inner("address"), net::to_text(endpoint) + "\n");
}

}  // namespace fathom::api
