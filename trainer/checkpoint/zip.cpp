#include "trainer/checkpoint/zip.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include <fmt/format.h>

namespace fathom::trainer {
namespace {

// Signatures of the records and sizes of their fixed parts (PKWARE APPNOTE 6.3.10, sections 4.3 and 4.5).
constexpr std::uint32_t kLocal = 0x04034b50, kCentral = 0x02014b50, kEnd = 0x06054b50;
constexpr std::uint32_t kEnd64 = 0x06064b50, kLocator64 = 0x07064b50;
constexpr std::size_t kLocalSize = 30, kCentralSize = 46, kEndSize = 22, kEnd64Size = 56, kLocator64Size = 20;
constexpr std::uint64_t kMaxEntries = 1u << 20;

// Little-endian number at `at`, or nothing beyond the end.
template <class T>
std::optional<T> number(Bytes bytes, std::uint64_t at) {
  if (at > bytes.size() || bytes.size() - at < sizeof(T)) return std::nullopt;
  T value{};
  std::memcpy(&value, bytes.data() + at, sizeof(T));
  return value;
}

template <class T>
T known(Bytes bytes, std::uint64_t at) {
  return number<T>(bytes, at).value_or(T{});
}

std::optional<Bytes> part(Bytes bytes, std::uint64_t at, std::uint64_t size) {
  if (at > bytes.size() || size > bytes.size() - at) return std::nullopt;
  return bytes.subspan(at, size);
}

struct Directory {
  std::uint64_t offset = 0, size = 0, entries = 0;
};

// The end record stands at the end, before a comment of up to 64 KiB.
std::optional<Directory> find_directory(Bytes file) {
  if (file.size() < kEndSize) return std::nullopt;
  const std::size_t last = file.size() - kEndSize;
  const std::size_t first = last > 0xFFFF ? last - 0xFFFF : 0;
  for (std::size_t at = last + 1; at-- > first;) {
    if (known<std::uint32_t>(file, at) != kEnd) continue;
    Directory d{known<std::uint32_t>(file, at + 16), known<std::uint32_t>(file, at + 12),
                known<std::uint16_t>(file, at + 10)};
    // A locator before it points to the 64-bit record.
    if (at >= kLocator64Size && known<std::uint32_t>(file, at - kLocator64Size) == kLocator64) {
      const auto end64 = known<std::uint64_t>(file, at - kLocator64Size + 8);
      const auto record = part(file, end64, kEnd64Size);
      if (!record || known<std::uint32_t>(*record, 0) != kEnd64) return std::nullopt;
      d = {known<std::uint64_t>(*record, 48), known<std::uint64_t>(*record, 40), known<std::uint64_t>(*record, 32)};
    }
    return d;
  }
  return std::nullopt;
}

struct Central {
  std::string name;
  std::uint64_t size = 0, offset = 0;
  std::uint64_t next = 0;  // length of the whole record
};

// 64-bit values stand in an extra field, in this order, for those that read 0xFFFFFFFF.
void read_zip64(Bytes extra, Central& entry) {
  for (std::uint64_t at = 0; number<std::uint16_t>(extra, at + 2);) {
    const auto id = known<std::uint16_t>(extra, at), size = known<std::uint16_t>(extra, at + 2);
    if (id == 1) {
      std::uint64_t value_at = at + 4;
      if (entry.size == 0xFFFFFFFFu) {
        entry.size = known<std::uint64_t>(extra, value_at);
        value_at += 16;  // skip the compressed size, equal for stored entries
      }
      if (entry.offset == 0xFFFFFFFFu) entry.offset = known<std::uint64_t>(extra, value_at);
      return;
    }
    at += 4u + size;
  }
}

Result<Central> read_central(Bytes directory, std::uint64_t at) {
  const auto fail = [](const char* what) { return Error{Errc::corrupt, what}; };
  const auto fixed = part(directory, at, kCentralSize);
  if (!fixed || known<std::uint32_t>(*fixed, 0) != kCentral) return fail("its directory is damaged");
  const auto name_size = known<std::uint16_t>(*fixed, 28), extra_size = known<std::uint16_t>(*fixed, 30),
             comment_size = known<std::uint16_t>(*fixed, 32);
  const auto name = part(directory, at + kCentralSize, name_size);
  const auto extra = part(directory, at + kCentralSize + name_size, extra_size);
  if (!name || !extra) return fail("its directory is cut off");
  if (known<std::uint16_t>(*fixed, 8) & 1) return fail("it is encrypted");
  if (known<std::uint16_t>(*fixed, 10) != 0) return fail("it has compressed entries, which torch never writes");
  Central entry;
  entry.name.assign(reinterpret_cast<const char*>(name->data()), name->size());
  entry.size = known<std::uint32_t>(*fixed, 24);
  entry.offset = known<std::uint32_t>(*fixed, 42);
  read_zip64(*extra, entry);
  entry.next = kCentralSize + name_size + extra_size + comment_size;
  return entry;
}

Result<Bytes> entry_bytes(Bytes file, const Central& entry) {
  const auto local = part(file, entry.offset, kLocalSize);
  if (!local || known<std::uint32_t>(*local, 0) != kLocal) {
    return Error{Errc::corrupt, fmt::format("entry \"{}\" is not where its directory says", entry.name)};
  }
  const std::uint64_t start =
      entry.offset + kLocalSize + known<std::uint16_t>(*local, 26) + known<std::uint16_t>(*local, 28);
  const auto data = part(file, start, entry.size);
  if (!data) return Error{Errc::corrupt, fmt::format("entry \"{}\" ends beyond the file: truncated?", entry.name)};
  return *data;
}

// CRC-32 of zip (reflected polynomial 0xEDB88320), a table of 256.
std::uint32_t crc32(std::string_view data) {
  static const std::array<std::uint32_t, 256> table = [] {
    std::array<std::uint32_t, 256> t{};
    for (std::uint32_t i = 0; i < 256; ++i) {
      std::uint32_t c = i;
      for (int bit = 0; bit < 8; ++bit) c = (c >> 1) ^ (c & 1 ? 0xEDB88320u : 0);
      t[i] = c;
    }
    return t;
  }();
  std::uint32_t crc = 0xFFFFFFFFu;
  for (const char byte : data) crc = (crc >> 8) ^ table[(crc ^ static_cast<unsigned char>(byte)) & 0xFF];
  return ~crc;
}

template <class T>
void put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof(T));
}

// The fields that a local and a central record share: version 2.0, no flags, stored, 1980-01-01 00:00.
void put_common(std::string& out, std::string_view name, std::string_view data, std::uint16_t extra) {
  put<std::uint16_t>(out, 20);
  put<std::uint16_t>(out, 0);
  put<std::uint16_t>(out, 0);
  put<std::uint16_t>(out, 0);
  put<std::uint16_t>(out, 0x21);
  put<std::uint32_t>(out, crc32(data));
  put(out, static_cast<std::uint32_t>(data.size()));
  put(out, static_cast<std::uint32_t>(data.size()));
  put(out, static_cast<std::uint16_t>(name.size()));
  put(out, extra);
}

}  // namespace

Result<std::map<std::string, Bytes, std::less<>>> read_stored_zip(Bytes file, const std::string& name) {
  const auto fail = [&](const std::string& what) { return Error{Errc::corrupt, name + ": " + what}; };
  const auto directory = find_directory(file);
  if (!directory) return fail("not a zip archive, or truncated (no end record)");
  const auto records = part(file, directory->offset, directory->size);
  if (!records || directory->entries > kMaxEntries) return fail("the zip directory lies outside the file");
  std::map<std::string, Bytes, std::less<>> out;
  std::uint64_t at = 0;
  for (std::uint64_t i = 0; i < directory->entries; ++i) {
    Result<Central> entry = read_central(*records, at);
    if (!entry) return fail(entry.error().message);
    Result<Bytes> data = entry_bytes(file, *entry);
    if (!data) return fail(data.error().message);
    if (!out.emplace(entry->name, *data).second) return fail("entry \"" + entry->name + "\" is there twice");
    at += entry->next;
  }
  return out;
}

void ZipWriter::add(std::string_view name, std::string_view data) {
  const auto offset = static_cast<std::uint32_t>(out_.size());
  // An extra field of the private id that torch uses ("FB") pads up to the alignment.
  constexpr std::size_t kAlign = 64;
  const std::size_t unpadded = out_.size() + kLocalSize + name.size() + 4;
  const auto padding = static_cast<std::uint16_t>((kAlign - unpadded % kAlign) % kAlign);
  put(out_, kLocal);
  put_common(out_, name, data, static_cast<std::uint16_t>(4 + padding));
  out_ += name;
  put<std::uint16_t>(out_, 0x4246);
  put(out_, padding);
  out_.append(padding, 'Z');
  out_ += data;

  put(directory_, kCentral);
  put<std::uint16_t>(directory_, 20);
  put_common(directory_, name, data, 0);
  directory_.append(10, '\0');  // comment, disk, attributes
  put(directory_, offset);
  directory_ += name;
  ++entries_;
}

std::string ZipWriter::finish() {
  const auto start = static_cast<std::uint32_t>(out_.size());
  out_ += directory_;
  put(out_, kEnd);
  put<std::uint32_t>(out_, 0);
  put(out_, entries_);
  put(out_, entries_);
  put(out_, static_cast<std::uint32_t>(directory_.size()));
  put(out_, start);
  put<std::uint16_t>(out_, 0);
  return std::move(out_);
}

}  // namespace fathom::trainer
