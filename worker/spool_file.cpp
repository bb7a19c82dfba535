#include "worker/spool_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "common/crc32c.hpp"
#include "common/files.hpp"
#include "common/protocol/fences.hpp"
#include "common/protocol/wire.pb.h"

namespace fathom::worker {
namespace {

constexpr std::string_view kMagic("FSPL\x01\0\0\0", 8);
constexpr std::size_t kRecordHeader = 9;
constexpr std::size_t kRecordLimit = 16u << 20;
constexpr std::uint64_t kFileLimit = std::uint64_t{1} << 30;

void append_u32(std::uint32_t value, std::string& out) {
  for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<char>((value >> shift) & 0xff));
}

std::uint32_t read_u32(std::string_view bytes) {
  std::uint32_t value = 0;
  for (std::size_t index = 4; index-- > 0;) value = (value << 8) | static_cast<std::uint8_t>(bytes[index]);
  return value;
}

std::uint32_t checksum(char kind, std::string_view payload) {
  return crc32c(payload, crc32c(std::string_view(&kind, 1)));
}

void append_record(const SpoolRecord& record, std::string& out) {
  const char kind = static_cast<char>(record.kind);
  append_u32(static_cast<std::uint32_t>(record.payload.size()), out);
  append_u32(checksum(kind, record.payload), out);
  out.push_back(kind);
  out += record.payload;
}

std::string beginning(const Fence& fence) {
  std::string out(kMagic);
  append_record({SpoolKind::fence, to_wire(fence).SerializeAsString()}, out);
  return out;
}

}  // namespace

std::string spool_file_name(const Fence& fence) {
  return fmt::format("{}-{}-{}.spool", fence.job.value(), fence.generation, fence.attempt);
}

Result<SpoolFile> SpoolFile::open(const std::filesystem::path& folder, const Fence& fence) {
  const std::string path = (folder / spool_file_name(fence)).string();
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return system_error(errno, "opening", path);
  struct stat info {};
  if (::fstat(fd, &info) != 0) {
    const int number = errno;
    ::close(fd);
    return system_error(number, "reading", path);
  }
  SpoolFile file(path, fd, static_cast<std::uint64_t>(info.st_size));
  if (info.st_size > 0) return file;
  if (auto written = file.write_bytes(beginning(fence)); !written) {
    // An empty file would be met as a broken spool at the next start.
    ::unlink(path.c_str());
    return written.error();
  }
  FATHOM_TRY(sync_folder(folder.string()));
  return file;
}

SpoolFile::SpoolFile(SpoolFile&& other) noexcept
    : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)), size_(other.size_) {}

SpoolFile& SpoolFile::operator=(SpoolFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(fd_, other.fd_);
  std::swap(size_, other.size_);
  return *this;
}

SpoolFile::~SpoolFile() {
  if (fd_ >= 0) ::close(fd_);
}

Status SpoolFile::append(const std::vector<SpoolRecord>& records) {
  std::string bytes;
  for (const SpoolRecord& record : records) append_record(record, bytes);
  return write_bytes(bytes);
}

Status SpoolFile::write_bytes(std::string_view bytes) {
  std::uint64_t at = size_;
  while (!bytes.empty()) {
    const ssize_t count = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(at));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      const int number = errno;
      // A record cut short would hide every later one from the reader.
      if (::ftruncate(fd_, static_cast<off_t>(size_)) != 0) return system_error(errno, "shortening", path_);
      return system_error(number, "writing", path_);
    }
    at += static_cast<std::uint64_t>(count);
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  size_ = at;
  return success();
}

Status SpoolFile::sync() {
  if (::fdatasync(fd_) != 0) return system_error(errno, "syncing", path_);
  return success();
}

Result<SpoolContents> read_spool(const std::filesystem::path& file) {
  FATHOM_ASSIGN(const std::string bytes, read_file(file.string(), kFileLimit));
  const Error broken{Errc::corrupt, fmt::format("{} is not a whole spool of fathom-worker", file.string())};
  std::string_view rest(bytes);
  if (rest.substr(0, kMagic.size()) != kMagic) return broken;
  rest.remove_prefix(kMagic.size());

  SpoolContents contents;
  bool fence_seen = false;
  while (rest.size() >= kRecordHeader) {
    const std::size_t length = read_u32(rest);
    if (length > kRecordLimit || rest.size() - kRecordHeader < length) break;
    const std::string_view payload = rest.substr(kRecordHeader, length);
    if (read_u32(rest.substr(4)) != checksum(rest[8], payload)) break;
    const auto kind = static_cast<SpoolKind>(rest[8]);
    if (!fence_seen) {
      wire::Fence fence;
      if (kind != SpoolKind::fence || !fence.ParseFromString(std::string(payload))) return broken;
      contents.fence = from_wire(fence);
      fence_seen = true;
    } else {
      contents.records.push_back({kind, std::string(payload)});
    }
    rest.remove_prefix(kRecordHeader + length);
  }
  if (!fence_seen) return broken;
  contents.torn = !rest.empty();
  return contents;
}

Status rewrite_spool(const std::filesystem::path& folder, const Fence& fence, const std::vector<SpoolRecord>& records) {
  std::string bytes = beginning(fence);
  for (const SpoolRecord& record : records) append_record(record, bytes);
  return write_file_atomic((folder / spool_file_name(fence)).string(), bytes, 0600);
}

}  // namespace fathom::worker
