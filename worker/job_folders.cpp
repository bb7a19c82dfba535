#include "worker/job_folders.hpp"

#include <dirent.h>
#include <fcntl.h>

#include <string>
#include <string_view>
#include <system_error>

#include "common/descriptor.hpp"
#include "common/files.hpp"

namespace fathom::worker {
namespace fs = std::filesystem;
namespace {

// As many as slots of a large worker; more would only be looked at by people.
constexpr std::size_t kSpare = 1024;

int open_folder(int at, const char* path) {
  return ::openat(at, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

// By name alone; whether final/ is a folder shows when it is opened.
JobFolders::Left listed(int folder) {
  auto found = JobFolders::Left::nothing;
  alignas(struct dirent64) char buffer[1024];
  for (;;) {
    const ssize_t size = ::getdents64(folder, buffer, sizeof buffer);
    if (size == 0) return found;
    if (size < 0) return JobFolders::Left::something;
    for (ssize_t at = 0; at < size;) {
      const auto* entry = reinterpret_cast<const struct dirent64*>(buffer + at);
      at += entry->d_reclen;
      const std::string_view name = entry->d_name;
      if (name == "." || name == "..") continue;
      if (name != "final") return JobFolders::Left::something;
      found = JobFolders::Left::empty_final;
    }
  }
}

// Six system calls, whatever is in it: every job that writes no file is waited for here.
JobFolders::Left what_is_in(const fs::path& folder) {
  const Descriptor whole(open_folder(AT_FDCWD, folder.c_str()));
  if (whole.get() < 0) return JobFolders::Left::something;
  const JobFolders::Left found = listed(whole.get());
  if (found != JobFolders::Left::empty_final) return found;
  const Descriptor tree(open_folder(whole.get(), "final"));
  const bool empty = tree.get() >= 0 && listed(tree.get()) == JobFolders::Left::nothing;
  return empty ? found : JobFolders::Left::something;
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

JobFolders::Left JobFolders::look(const fs::path& folder) {
  const Left left = what_is_in(folder);
  if (left == Left::something) return left;
  const std::lock_guard lock(mutex_);
  if (!spent_.contains(folder)) clean_.insert(folder);
  return left;
}

bool JobFolders::take_back(const fs::path& folder) {
  const std::lock_guard lock(mutex_);
  if (clean_.erase(folder) == 0 || spare_.size() >= kSpare) return false;
  spare_.push_back(folder);
  return true;
}

void JobFolders::give_back(const fs::path& folder) {
  const bool clean = what_is_in(folder) != Left::something;
  {
    const std::lock_guard lock(mutex_);
    const bool spent = spent_.erase(folder) != 0;
    if (clean && !spent && spare_.size() < kSpare) return spare_.push_back(folder);
  }
  std::error_code ignored;
  fs::remove_all(folder, ignored);
}

}  // namespace fathom::worker
