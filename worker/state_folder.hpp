// The worker's state folder: one worker at a time, one format.
//   VERSION   "fathom-worker 1"
//   lock      held (flock) while a worker lives; the kernel lets go of it when the worker dies
//   uid       32 hex digits, made once: the worker's identity over restarts
//   identity.pem  private key, certificate and the coordinator's CA (worker/credentials.hpp)
//   spool/    items that the coordinator has not acknowledged
//   cache/    fetched artifacts by hash
//   jobs/     folders of running attempts; emptied at start, since their trainers died with the last worker
//   scratch/  one folder for each trainer that lives; emptied at start
//   trainers/ what trainers write to stdout and stderr
#pragma once

#include <filesystem>
#include <string>
#include <utility>

#include "common/result.hpp"

namespace fathom::worker {

// Where things are, and who this worker is. Thread: plain values.
class StatePaths {
 public:
  StatePaths(std::filesystem::path path, std::string uid) : path_(std::move(path)), uid_(std::move(uid)) {}

  [[nodiscard]] const std::string& uid() const { return uid_; }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::filesystem::path spool() const { return path_ / "spool"; }
  [[nodiscard]] std::filesystem::path cache() const { return path_ / "cache"; }
  [[nodiscard]] std::filesystem::path jobs() const { return path_ / "jobs"; }
  [[nodiscard]] std::filesystem::path scratch() const { return path_ / "scratch"; }
  [[nodiscard]] std::filesystem::path trainers() const { return path_ / "trainers"; }
  // What trainers keep of the frozen base's outputs, for each other and for later.
  [[nodiscard]] std::filesystem::path prefix() const { return path_ / "prefix"; }

 protected:
  std::filesystem::path path_;
  std::string uid_;
};

// Owns the lock. Thread: made and destroyed by main; paths may be read from anywhere.
class StateFolder : public StatePaths {
 public:
  // Makes the folder when there is none. Errors: failed_precondition when another worker holds the lock; unsupported
  // for a folder of another version; already_exists for a folder that holds something else; those of common/files.hpp.
  [[nodiscard]] static Result<StateFolder> open(const std::filesystem::path& folder);
  StateFolder(StateFolder&& other) noexcept;
  StateFolder& operator=(StateFolder&&) = delete;
  ~StateFolder();

 private:
  StateFolder(std::filesystem::path path, int lock) : StatePaths(std::move(path), {}), lock_(lock) {}
  [[nodiscard]] Status prepare();

  int lock_;  // descriptor of the lock file
};

}  // namespace fathom::worker
