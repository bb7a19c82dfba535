#include "worker/job_folders.hpp"

#include <string>
#include <system_error>

#include "common/files.hpp"

namespace fathom::worker {
namespace fs = std::filesystem;
namespace {

// As many as slots of a large worker; more would only be looked at by people.
constexpr std::size_t kSpare = 1024;

// Nothing in it but perhaps an empty final/.
bool is_clean(const fs::path& folder) {
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    if (entry->path().filename() != "final" || !entry->is_directory(error) || entry->is_symlink(error)) return false;
    if (error || !fs::is_empty(entry->path(), error)) return false;
  }
  return !error;
}

}  // namespace

Result<fs::path> JobFolders::take() {
  fs::path folder;
  {
    const std::lock_guard lock(mutex_);
    if (!spare_.empty()) {
      folder = std::move(spare_.back());
      spare_.pop_back();
      return folder;
    }
    folder = root_ / std::to_string(++made_);
  }
  FATHOM_TRY(make_folders(folder.string(), 0700));
  FATHOM_TRY(sandbox_.give(folder));
  return folder;
}

void JobFolders::spend(const fs::path& folder) {
  const std::lock_guard lock(mutex_);
  spent_.insert(folder);
}

void JobFolders::give_back(const fs::path& folder) {
  const bool clean = is_clean(folder);
  {
    const std::lock_guard lock(mutex_);
    const bool spent = spent_.erase(folder) != 0;
    if (clean && !spent && spare_.size() < kSpare) return spare_.push_back(folder);
  }
  std::error_code ignored;
  fs::remove_all(folder, ignored);
}

}  // namespace fathom::worker
