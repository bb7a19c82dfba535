#include "worker/state_folder.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "common/files.hpp"
#include "common/leftover.hpp"
#include "common/net/secrets.hpp"

namespace fathom::worker {
namespace {

namespace fs = std::filesystem;
constexpr std::string_view kVersion = "fathom-worker 1";

std::string trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) text.pop_back();
  return text;
}

// A folder is ours when it has our VERSION, or nothing at all but a lock and what a first start left that was killed
// while it wrote that: never write into somebody's own files.
Status check_version(const fs::path& folder) {
  const auto text = read_file((folder / "VERSION").string(), 4096);
  if (!text) {
    if (text.error().code != Errc::not_found) return text.error();
    for (const auto& entry : fs::directory_iterator(folder)) {
      const std::string name = entry.path().filename().string();
      if (name == "lock" || is_leftover_of(name, "VERSION")) continue;
      return Error{Errc::already_exists,
                   fmt::format("{} is not empty and no state folder of fathom-worker (it has {} but no VERSION); give "
                               "another folder with --state",
                               folder.string(), name)};
    }
    return write_file_atomic((folder / "VERSION").string(), std::string(kVersion) + "\n");
  }
  if (trimmed(*text) == kVersion) return success();
  return Error{
      Errc::unsupported,
      fmt::format("{} is a state folder of another version: '{}', this program needs '{}'; give another folder "
                  "with --state, or use the program it was made by",
                  folder.string(), trimmed(*text).substr(0, 80), kVersion)};
}

}  // namespace

Result<StateFolder> StateFolder::open(const fs::path& folder) {
  FATHOM_TRY(make_folders(folder.string(), 0700));
  const std::string lock_file = (folder / "lock").string();
  const int lock = ::open(lock_file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock < 0) return system_error(errno, "opening", lock_file);
  StateFolder state(fs::absolute(folder), lock);
  if (::flock(lock, LOCK_EX | LOCK_NB) != 0) {
    return Error{
        Errc::failed_precondition,
        fmt::format("another fathom-worker uses the state folder {}; stop it or give another folder with --state",
                    folder.string())};
  }
  FATHOM_TRY(state.prepare());
  return state;
}

Status StateFolder::prepare() {
  try {
    FATHOM_TRY(check_version(path_));
    // Attempts of an earlier worker cannot go on: whatever counts of them is in the spool or with the coordinator.
    fs::remove_all(jobs());
    fs::remove_all(scratch());
  } catch (const fs::filesystem_error& error) {
    return Error{Errc::internal, fmt::format("the state folder cannot be used: {}", error.what())};
  }
  for (const auto& folder : {spool(), cache(), jobs(), scratch(), trainers(), prefix()})
    FATHOM_TRY(make_folders(folder.string(), 0700));
  const std::string file = (path_ / "uid").string();
  if (auto text = read_file(file, 4096); text && !trimmed(*text).empty()) {
    uid_ = trimmed(*text);
    return success();
  }
  FATHOM_ASSIGN(uid_, net::random_hex(16));
  return write_file_atomic(file, uid_ + "\n", 0600);
}

StateFolder::StateFolder(StateFolder&& other) noexcept
    : StatePaths(std::move(other)), lock_(std::exchange(other.lock_, -1)) {}

StateFolder::~StateFolder() {
  if (lock_ >= 0) ::close(lock_);
}

}  // namespace fathom::worker
