#include "worker/spool_file.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <utility>

#include "common/crc32c.hpp"
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

Result<SpoolFile> SpoolFile::open(const std::filesystem::path& folder, const Fence& fence, Disk& disk) {
  const std::filesystem::path path = folder / spool_file_name(fence);
  FATHOM_ASSIGN(auto opened, disk.open(path));
  SpoolFile file(std::move(opened));
  if (file.size_ > 0) return file;
  if (auto written = file.write_bytes(beginning(fence)); !written) {
    // An empty file would be met as a broken spool at the next start.
    disk.remove(path);
    return written.error();
  }
  FATHOM_TRY(disk.sync_folder(folder));
  return file;
}

Status SpoolFile::append(const std::vector<SpoolRecord>& records) {
  std::string bytes;
  for (const SpoolRecord& record : records) append_record(record, bytes);
  return write_bytes(bytes);
}

Status SpoolFile::write_bytes(std::string_view bytes) {
  if (const Status written = file_->write(size_, bytes); !written) {
    // A record cut short would hide every later one from the reader.
    FATHOM_TRY(file_->truncate(size_));
    return written;
  }
  size_ += bytes.size();
  return success();
}

Result<SpoolContents> read_spool(const std::filesystem::path& file, Disk& disk) {
  FATHOM_ASSIGN(const std::string bytes, disk.read(file, kFileLimit));
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

std::vector<SpoolContents> read_spools(const std::filesystem::path& folder, Disk& disk) {
  std::vector<SpoolContents> all;
  for (const std::filesystem::path& file : disk.list(folder)) {
    if (file.extension() != ".spool") continue;
    auto spool = read_spool(file, disk);
    if (!spool || spool->records.empty()) {
      if (!spool) spdlog::warn("spool removed: {}", spool.error().message);
      disk.remove(file);
      continue;
    }
    if (spool->torn) spdlog::warn("spool has a torn tail, the whole records are used file={}", file.string());
    spdlog::info("spool found attempt={} records={}", describe(spool->fence), spool->records.size());
    all.push_back(std::move(*spool));
  }
  return all;
}

Status rewrite_spool(const std::filesystem::path& folder, const Fence& fence, const std::vector<SpoolRecord>& records,
                     Disk& disk) {
  std::string bytes = beginning(fence);
  for (const SpoolRecord& record : records) append_record(record, bytes);
  return disk.replace(folder / spool_file_name(fence), bytes);
}

}  // namespace fathom::worker
