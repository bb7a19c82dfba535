// The folders of attempts, <state>/jobs/<n>/. To make and remove one costs a file system more than all else that a
// short job asks of it, so what an attempt leaves as clean as it was serves the next one.
//
// Thread: any. Owner: FileTransfers. A folder belongs to one attempt from take() to give_back().
#pragma once

#include <cstdint>
#include <filesystem>
#include <mutex>
#include <set>
#include <vector>

#include "common/result.hpp"
#include "worker/sandbox.hpp"

namespace fathom::worker {

class JobFolders {
 public:
  // `root`: there, and at the start without anything in it. Trainers of `sandbox` may write into the folders.
  JobFolders(std::filesystem::path root, Sandbox sandbox) : root_(std::move(root)), sandbox_(std::move(sandbox)) {}

  // A folder without files; it may hold an empty final/. Errors: those of the disk.
  [[nodiscard]] Result<std::filesystem::path> take();
  // Something is going to be written into it by others than its trainer, who may be late: no other attempt gets it.
  void spend(const std::filesystem::path& folder);
  // What an attempt whose trainer is through with it has left.
  enum class Left { nothing, empty_final, something };
  // A look into the folder. One that is clean may be taken back without another.
  [[nodiscard]] Left look(const std::filesystem::path& folder);
  // Its attempt is over. Kept for another one when nothing is left in it, else removed.
  void give_back(const std::filesystem::path& folder);
  // The same where no look is needed; false: give_back() has to see to it. Does not wait for the disk.
  [[nodiscard]] bool take_back(const std::filesystem::path& folder);

 private:
  const std::filesystem::path root_;
  const Sandbox sandbox_;
  std::mutex mutex_;
  std::uint64_t made_ = 0;                    // mutex_: names so far
  std::vector<std::filesystem::path> spare_;  // mutex_
  std::set<std::filesystem::path> spent_;     // mutex_: taken, and not to come back
  std::set<std::filesystem::path> clean_;     // mutex_: taken, looked at, and to come back as they are
};

}  // namespace fathom::worker
