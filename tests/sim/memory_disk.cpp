#include "tests/sim/memory_disk.hpp"

#include <algorithm>
#include <utility>

namespace fathom::sim {

FilePtr MemoryDisk::find(const std::string& path) const {
  const auto found = files_.find(path);
  return found == files_.end() ? nullptr : found->second;
}

FilePtr MemoryDisk::make(const std::string& path) {
  FilePtr& file = files_[path];
  if (file == nullptr) {
    file = std::make_shared<MemoryFile>();
    names_.emplace(path, nullptr);
  }
  return file;
}

void MemoryDisk::remove(const std::string& path, bool durably) {
  const auto found = files_.find(path);
  if (found == files_.end()) return;
  if (durably) {
    names_.erase(path);
  } else {
    names_.emplace(path, found->second);
  }
  files_.erase(found);
}

void MemoryDisk::replace(const std::string& path, std::string bytes) {
  auto file = std::make_shared<MemoryFile>();
  file->bytes = std::move(bytes);
  files_[path] = std::move(file);
  names_.erase(path);
}

std::vector<std::string> MemoryDisk::list(const std::string& folder) const {
  std::vector<std::string> paths;
  for (const auto& [path, file] : files_) {
    if (path.starts_with(folder + "/")) paths.push_back(path);
  }
  return paths;
}

DiskAnswer MemoryDisk::write(MemoryFile& file, std::uint64_t offset, std::string_view bytes) const {
  if (!user.alive()) return DiskAnswer::broken;
  if (full) return DiskAnswer::full;
  const auto at = static_cast<std::size_t>(offset);
  MemoryFile::Write write{offset, {}, std::string(bytes), file.bytes.size()};
  if (at < file.bytes.size()) write.before = file.bytes.substr(at, bytes.size());
  if (file.bytes.size() < at + bytes.size()) file.bytes.resize(at + bytes.size());
  std::copy(bytes.begin(), bytes.end(), file.bytes.begin() + static_cast<std::ptrdiff_t>(at));
  file.unsynced.push_back(std::move(write));
  return DiskAnswer::ok;
}

void MemoryDisk::truncate(MemoryFile& file, std::uint64_t size) {
  const auto at = static_cast<std::size_t>(size);
  if (at >= file.bytes.size()) return;
  file.unsynced.push_back({size, file.bytes.substr(at), {}, file.bytes.size(), true});
  file.bytes.resize(at);
}

DiskAnswer MemoryDisk::sync(MemoryFile& file) const {
  if (!user.alive() || broken_sync) return DiskAnswer::broken;
  file.unsynced.clear();
  return DiskAnswer::ok;
}

void MemoryDisk::sync_names() { names_.clear(); }

namespace {

void undo(MemoryFile& file, const MemoryFile::Write& write) {
  const auto at = static_cast<std::ptrdiff_t>(write.offset);
  if (write.truncates) file.bytes.resize(static_cast<std::size_t>(write.size_before));
  std::copy(write.before.begin(), write.before.end(), file.bytes.begin() + at);
  file.bytes.resize(static_cast<std::size_t>(write.size_before));
}

// As much of the write as reached the platter.
void redo(MemoryFile& file, const MemoryFile::Write& write, std::size_t bytes) {
  const auto at = static_cast<std::size_t>(write.offset);
  if (write.truncates) return file.bytes.resize(std::min(file.bytes.size(), at));
  if (file.bytes.size() < at + bytes) file.bytes.resize(at + bytes);
  std::copy_n(write.after.begin(), bytes, file.bytes.begin() + static_cast<std::ptrdiff_t>(at));
}

}  // namespace

void MemoryDisk::lose_power(Random& random) {
  for (auto& [path, file] : files_) {
    std::vector<MemoryFile::Write> writes = std::exchange(file->unsynced, {});
    for (auto write = writes.rbegin(); write != writes.rend(); ++write) undo(*file, *write);
    for (const MemoryFile::Write& write : writes) {
      switch (random.below(3)) {
        case 0:
          break;
        case 1:
          redo(*file, write, write.after.size());
          break;
        default:
          redo(*file, write, random.below(write.after.size() + 1));
      }
    }
  }
  for (const auto& [path, file] : std::exchange(names_, {})) {
    if (random.chance(50)) continue;
    if (file == nullptr) {
      files_.erase(path);
    } else {
      files_.emplace(path, file);
    }
  }
}

}  // namespace fathom::sim
