// What the store's tests share: a folder that goes away, a latch, and a SQLite VFS whose disk can be full or broken.
#pragma once

#include <stdlib.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>

namespace fathom::testing {

class TempFolder {
 public:
  TempFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "fathom-store-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// Waits up to 10 s until `condition` holds; notify() after each change. Thread: any.
class Waiter {
 public:
  void notify() {
    const std::lock_guard lock(mutex_);
    changed_.notify_all();
  }
  bool until(const std::function<bool()>& condition) {
    std::unique_lock lock(mutex_);
    // Polled too: what is waited for may change without a notify.
    for (int i = 0; i < 2000 && !condition(); ++i) changed_.wait_for(lock, std::chrono::milliseconds(5));
    return condition();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
};

// The default VFS with faults, registered once under kFaultVfs. One disk for the whole test program.
inline constexpr const char* kFaultVfs = "fathom-fault";
struct FaultDisk {
  std::atomic<bool> full = false;         // writes answer SQLITE_FULL
  std::atomic<bool> broken_sync = false;  // syncs answer SQLITE_IOERR_FSYNC
  std::atomic<int> syncs = 0;
};
FaultDisk& fault_disk();

}  // namespace fathom::testing
