#include "worker/spool_file.hpp"

#include <fmt/format.h>

#include <map>
#include <optional>
#include <utility>

#include "common/crc32c.hpp"
#include "common/protocol/fences.hpp"
#include "common/protocol/wire.pb.h"

namespace fathom::worker {
namespace {

constexpr std::string_view kMagic("FSPL\x02\0\0\0", 8);
constexpr std::string_view kOldMagic("FSPL\x01\0\0\0", 8);
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

// Takes the first record off `rest`; nullopt: it is short or damaged.
std::optional<std::pair<SpoolKind, std::string_view>> take_record(std::string_view& rest) {
  if (rest.size() < kRecordHeader) return std::nullopt;
  const std::size_t length = read_u32(rest);
  if (length > kRecordLimit || rest.size() - kRecordHeader < length) return std::nullopt;
  const std::string_view payload = rest.substr(kRecordHeader, length);
  const char kind = rest[8];
  if (read_u32(rest.substr(4)) != checksum(kind, payload)) return std::nullopt;
  rest.remove_prefix(kRecordHeader + length);
  return std::pair(static_cast<SpoolKind>(kind), payload);
}

}  // namespace

std::string spool_file_name(std::uint64_t number) { return fmt::format("{:08}.spool", number); }

void append_spool_record(SpoolKind kind, std::string_view payload, std::string& out) {
  append_u32(static_cast<std::uint32_t>(payload.size()), out);
  append_u32(checksum(static_cast<char>(kind), payload), out);
  out.push_back(static_cast<char>(kind));
  out += payload;
}

void append_spool_fence(const Fence& fence, std::string& out) {
  append_spool_record(SpoolKind::fence, to_wire(fence).SerializeAsString(), out);
}

Result<SpoolFile> SpoolFile::create(const std::filesystem::path& path, Disk& disk) {
  FATHOM_ASSIGN(auto opened, disk.open(path));
  SpoolFile file(std::move(opened));
  if (file.size_ > 0) return Error{Errc::already_exists, fmt::format("{} is there already", path.string())};
  if (auto written = file.append(kMagic); !written) {
    // An empty file would be met as a broken spool at the next start.
    disk.remove(path);
    return written.error();
  }
  if (auto named = disk.sync_folder(path.parent_path()); !named) {
    disk.remove(path);
    return named.error();
  }
  return file;
}

Status SpoolFile::append(std::string_view records) {
  if (const Status written = file_->write(size_, records); !written) {
    // A record cut short would hide every later one from the reader.
    FATHOM_TRY(file_->truncate(size_));
    return written;
  }
  size_ += records.size();
  return success();
}

Result<SpoolSegment> read_spool(const std::filesystem::path& file, Disk& disk) {
  FATHOM_ASSIGN(const std::string bytes, disk.read(file, kFileLimit));
  std::string_view rest(bytes);
  const std::string_view magic = rest.substr(0, kMagic.size());
  const Error broken{Errc::corrupt, fmt::format("{} is not a spool of fathom-worker", file.string())};
  if (magic != kMagic && magic != kOldMagic) return broken;
  rest.remove_prefix(kMagic.size());

  SpoolSegment segment;
  std::map<Fence, std::size_t> places;  // in attempts
  std::optional<std::size_t> at;        // whose records these are
  while (const auto record = take_record(rest)) {
    const auto& [kind, payload] = *record;
    if (kind == SpoolKind::fence) {
      wire::Fence fence;
      if (!fence.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) return broken;
      const auto [place, fresh] = places.try_emplace(from_wire(fence), segment.attempts.size());
      if (fresh) segment.attempts.push_back({place->first, {}});
      at = place->second;
    } else if (!at) {
      return broken;
    } else if (kind == SpoolKind::forget) {
      segment.attempts[*at].records.clear();
      segment.forgotten.push_back(segment.attempts[*at].fence);
    } else {
      segment.attempts[*at].records.push_back({kind, std::string(payload)});
    }
  }
  segment.torn = !rest.empty();
  return segment;
}

}  // namespace fathom::worker
