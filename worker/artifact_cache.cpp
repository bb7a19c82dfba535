#include "worker/artifact_cache.hpp"

#include <unistd.h>

#include <algorithm>
#include <system_error>
#include <vector>

#include "common/files.hpp"
#include "common/sha256.hpp"

namespace fathom::worker {
namespace fs = std::filesystem;

ArtifactCache::ArtifactCache(fs::path folder, std::uint64_t limit) : folder_(std::move(folder)), limit_(limit) {
  measure();
}

fs::path ArtifactCache::path_of(const std::string& sha256) const { return folder_ / sha256.substr(0, 2) / sha256; }

void ArtifactCache::measure() {
  std::error_code error;
  for (fs::recursive_directory_iterator entry(folder_, error), end; !error && entry != end; entry.increment(error)) {
    std::error_code gone;
    if (entry->is_regular_file(gone)) size_ += entry->file_size(gone);
  }
}

Result<bool> ArtifactCache::lay(const std::string& sha256, const fs::path& destination) {
  const fs::path source = path_of(sha256);
  std::error_code error;
  if (!is_sha256(sha256) || !fs::exists(source, error)) return false;
  fs::copy_file(source, destination, fs::copy_options::overwrite_existing, error);
  if (error) return system_error(error.value(), "copying a cached artifact to", destination.string());
  const auto found = sha256_file(destination.string());
  if (found && *found == sha256) {
    fs::last_write_time(source, fs::file_time_type::clock::now(), error);
    return true;
  }
  fs::remove(source, error);
  fs::remove(destination, error);
  return false;
}

void ArtifactCache::keep(const fs::path& file, const std::string& sha256) {
  if (!is_sha256(sha256)) return;
  const fs::path target = path_of(sha256);
  std::error_code error;
  if (fs::exists(target, error) || !make_folders(target.parent_path().string(), 0700)) return;
  // A link costs nothing. Its file must not be written any more: what is hashed is complete.
  if (::link(file.c_str(), target.c_str()) != 0) {
    const fs::path temporary = target.string() + ".tmp";
    fs::copy_file(file, temporary, fs::copy_options::overwrite_existing, error);
    if (error) {
      fs::remove(temporary, error);
      return;
    }
    fs::rename(temporary, target, error);
  }
  std::uint64_t size = 0;
  {
    const std::lock_guard lock(mutex_);
    const auto bytes = fs::file_size(target, error);
    if (!error) size_ += bytes;
    size = size_;
  }
  if (size > limit_) shrink(limit_ - limit_ / 10);
}

void ArtifactCache::shrink(std::uint64_t bytes) {
  struct Entry {
    fs::file_time_type used;
    fs::path path;
    std::uint64_t size;
  };
  const std::lock_guard lock(mutex_);
  std::vector<Entry> entries;
  std::error_code error;
  size_ = 0;
  for (fs::recursive_directory_iterator entry(folder_, error), end; !error && entry != end; entry.increment(error)) {
    std::error_code gone;
    if (!entry->is_regular_file(gone)) continue;
    entries.push_back({entry->last_write_time(gone), entry->path(), entry->file_size(gone)});
    size_ += entries.back().size;
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.used < b.used; });
  for (const Entry& entry : entries) {
    if (size_ <= bytes) return;
    fs::remove(entry.path, error);
    size_ -= entry.size;
  }
}

}  // namespace fathom::worker
