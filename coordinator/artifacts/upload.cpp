#include "coordinator/artifacts/upload.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

#include "common/files.hpp"

namespace fathom::artifacts {

Upload::Upload(int file, std::filesystem::path path, std::string sha256, std::uint64_t size)
    : file_(file), path_(std::move(path)), sha256_(std::move(sha256)), size_(size) {}

Upload::~Upload() { ::close(file_); }

Result<std::shared_ptr<Upload>> Upload::open(const std::filesystem::path& path, const std::string& sha256,
                                             std::uint64_t size) {
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (file < 0) return system_error(errno, "opening", path.string());
  auto upload = std::make_shared<Upload>(file, path, sha256, size);
  struct stat info {};
  if (fstat(file, &info) != 0) return system_error(errno, "reading", path.string());
  auto present = static_cast<std::uint64_t>(info.st_size);
  if (present > size) {
    if (ftruncate(file, 0) != 0) return system_error(errno, "truncating", path.string());
    present = 0;
  }
  FATHOM_TRY(upload->hash_present(present));
  return upload;
}

Status Upload::hash_present(std::uint64_t bytes) {
  std::string buffer(std::min<std::uint64_t>(bytes, 1U << 20), '\0');
  while (offset_ < bytes) {
    const ssize_t got = ::pread(file_, buffer.data(), buffer.size(), static_cast<off_t>(offset_));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error(errno, "reading", path_.string());
    if (got == 0) break;
    hash_.update({buffer.data(), static_cast<std::size_t>(got)});
    offset_ += static_cast<std::uint64_t>(got);
  }
  return success();
}

std::uint64_t Upload::offset() {
  const std::lock_guard lock(mutex_);
  return offset_;
}

Result<std::uint64_t> Upload::write(std::uint64_t offset, std::string_view bytes) {
  const std::lock_guard lock(mutex_);
  if (offset > offset_) {
    return Error{Errc::failed_precondition,
                 fmt::format("upload of {}: a chunk at {} came, {} was expected", sha256_, offset, offset_)};
  }
  if (bytes.size() > size_ - offset) {
    return Error{Errc::invalid_argument,
                 fmt::format("upload of {}: more than the announced {} bytes came", sha256_, size_)};
  }
  const std::uint64_t known = offset_ - offset;  // another sender was faster
  if (known >= bytes.size()) return offset_;
  bytes.remove_prefix(known);
  while (!bytes.empty()) {
    const ssize_t wrote = ::pwrite(file_, bytes.data(), bytes.size(), static_cast<off_t>(offset_));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return system_error(errno, "writing", path_.string());
    const auto count = static_cast<std::size_t>(wrote);
    hash_.update(bytes.substr(0, count));
    bytes.remove_prefix(count);
    offset_ += count;
  }
  return offset_;
}

Status Upload::verify() {
  const std::lock_guard lock(mutex_);
  if (found_.empty()) found_ = hash_.hex();
  if (found_ == sha256_) return success();
  // Unlinked under its name only if it is still this file's: a new upload may have begun after another's verdict.
  struct stat mine {
  }, named{};
  if (fstat(file_, &mine) == 0 && ::stat(path_.c_str(), &named) == 0 && mine.st_ino == named.st_ino) {
    ::unlink(path_.c_str());
  }
  return Error{Errc::corrupt,
               fmt::format("upload of {}: the bytes have the hash {}, the upload was removed: send it again "
                           "from the start",
                           sha256_, found_)};
}

Status Upload::sync() {
  if (::fsync(file_) == 0) return success();
  return system_error(errno, "syncing", path_.string());
}

}  // namespace fathom::artifacts
