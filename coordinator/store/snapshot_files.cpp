#include "coordinator/store/snapshot_files.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <fstream>

#include <fmt/format.h>

#include "common/crash_point.hpp"
#include "common/crc32c.hpp"
#include "common/descriptor.hpp"
#include "common/files.hpp"

namespace fathom::store {
namespace {

namespace fs = std::filesystem;
constexpr std::string_view kMagic("FSNAP\1\0\0", 8);
constexpr std::string_view kName = "snapshot-";
constexpr std::size_t kFrame = 8;
constexpr std::size_t kBuffer = 1U << 20;
constexpr std::uint32_t kRecordLimit = 64U << 20;

void append_u32(std::uint32_t value, std::string& out) {
  for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<char>(value >> shift));
}

std::uint32_t read_u32(const char* bytes) {
  std::uint32_t value = 0;
  for (int i = 4; i-- > 0;) value = (value << 8) | static_cast<unsigned char>(bytes[i]);
  return value;
}

// Collects records and writes them in large pieces.
class Writer {
 public:
  Writer(int file, std::string path) : file_(file), path_(std::move(path)), buffer_(kMagic) {}

  Status add(const snapshot::Record& record) {
    const std::string bytes = record.SerializeAsString();
    append_u32(static_cast<std::uint32_t>(bytes.size()), buffer_);
    append_u32(crc32c(bytes), buffer_);
    buffer_ += bytes;
    return buffer_.size() < kBuffer ? success() : flush();
  }
  Status flush() {
    FATHOM_TRY(write_all(file_, buffer_, path_));
    buffer_.clear();
    return success();
  }

 private:
  int file_;
  std::string path_;
  std::string buffer_;
};

Error damaged(const fs::path& file, const std::string& what) {
  return Error{Errc::corrupt, fmt::format("snapshot {}: {}", file.string(), what)};
}

// Records until `each` says enough, by an error that is passed on.
Status read_records(const fs::path& path, const core::RecordSink& each) {
  std::ifstream file(path, std::ios::binary);
  char magic[kMagic.size()] = {};
  if (!file.read(magic, sizeof magic) || std::string_view(magic, sizeof magic) != kMagic)
    return damaged(path, "not a snapshot of this version");
  std::string bytes;
  snapshot::Record record;
  bool ended = false;
  char frame[kFrame];
  while (file.read(frame, kFrame)) {
    const std::uint32_t length = read_u32(frame);
    if (length > kRecordLimit) return damaged(path, "a record is too long");
    bytes.resize(length);
    if (!file.read(bytes.data(), length)) return damaged(path, "cut off");
    if (crc32c(bytes) != read_u32(frame + 4)) return damaged(path, "a record does not match its checksum");
    if (!record.ParseFromString(bytes)) return damaged(path, "a record cannot be read");
    ended = record.has_end();
    FATHOM_TRY(each(record));
  }
  return file.gcount() == 0 && ended ? success() : Status(damaged(path, "cut off"));
}

}  // namespace

fs::path SnapshotFiles::path_of(std::uint64_t seq) const { return folder_ / fmt::format("{}{}", kName, seq); }

std::vector<std::uint64_t> SnapshotFiles::list() const {
  std::vector<std::uint64_t> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_, error)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kName)) continue;
    std::uint64_t seq = 0;
    const auto [end, bad] = std::from_chars(name.data() + kName.size(), name.data() + name.size(), seq);
    if (bad == std::errc{} && end == name.data() + name.size()) found.push_back(seq);
  }
  std::ranges::sort(found, std::greater<>{});
  return found;
}

Status SnapshotFiles::write(std::uint64_t seq, const std::function<Status(const core::RecordSink&)>& fill) {
  FATHOM_TRY(make_folders(folder_.string(), 0700));
  const fs::path part = folder_ / "part";  // one writer: what a crash left is written over
  const Descriptor file(::open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (file.get() < 0) return system_error(errno, "opening", part.string());
  Writer writer(file.get(), part.string());
  FATHOM_TRY(fill([&](const snapshot::Record& record) { return writer.add(record); }));
  FATHOM_TRY(writer.flush());
  if (::fsync(file.get()) != 0) return system_error(errno, "syncing", part.string());
  crash_point("snapshot.written");
  std::error_code error;
  fs::rename(part, path_of(seq), error);
  if (error) return system_error(error.value(), "renaming", part.string());
  crash_point("snapshot.renamed");
  return sync_folder(folder_.string());
}

Status SnapshotFiles::read(std::uint64_t seq, const core::RecordSink& each) const {
  return read_records(path_of(seq), each);
}

Result<snapshot::Head> SnapshotFiles::head(std::uint64_t seq) const {
  snapshot::Head head;
  const Status read = read_records(path_of(seq), [&](const snapshot::Record& record) -> Status {
    head = record.head();
    return Error{Errc::failed_precondition, "enough"};
  });
  if (!read && read.error().code != Errc::failed_precondition) return read.error();
  if (head.version() == 0) return damaged(path_of(seq), "it has no head");
  return head;
}

void SnapshotFiles::remove(std::uint64_t seq) {
  std::error_code ignored;
  fs::remove(path_of(seq), ignored);
}

void SnapshotFiles::keep(std::size_t count) {
  const std::vector<std::uint64_t> all = list();
  for (std::size_t i = count; i < all.size(); ++i) remove(all[i]);
}

}  // namespace fathom::store
