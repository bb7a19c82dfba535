#include "trainer/checkpoint/safetensors.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "common/files.hpp"
#include "trainer/checkpoint/dtypes.hpp"

namespace fathom::trainer {
namespace {

using nlohmann::json;

constexpr std::uint64_t kMaxHeader = 100u << 20;  // the format's own limit
constexpr std::size_t kMaxDimensions = 16;

Error broken(const std::string& file, const std::string& what) {
  return Error{Errc::corrupt, file + ": not a safetensors file, or a damaged one: " + what};
}

// One entry of the header, checked for types only.
struct Entry {
  std::string name;
  const DType* dtype = nullptr;
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0, end = 0;
};

bool is_count(const json& value) { return value.is_number_unsigned(); }

Result<Entry> parse_entry(const std::string& name, const json& value, const std::string& file) {
  const auto fail = [&](const char* what) { return broken(file, fmt::format("tensor \"{}\": {}", name, what)); };
  if (!value.is_object() || !value.contains("dtype") || !value.contains("shape") || !value.contains("data_offsets")) {
    return fail("dtype, shape or data_offsets is missing");
  }
  Entry entry;
  entry.name = name;
  entry.dtype = value["dtype"].is_string() ? dtype_by_safetensors(value["dtype"].get<std::string>()) : nullptr;
  if (!entry.dtype) return fail("unknown dtype");
  const json& shape = value["shape"];
  const json& offsets = value["data_offsets"];
  if (!shape.is_array() || shape.size() > kMaxDimensions || !std::all_of(shape.begin(), shape.end(), is_count)) {
    return fail("shape is not a list of sizes");
  }
  if (!offsets.is_array() || offsets.size() != 2 || !is_count(offsets[0]) || !is_count(offsets[1])) {
    return fail("data_offsets is not a pair of positions");
  }
  for (const json& size : shape) entry.shape.push_back(static_cast<std::int64_t>(size.get<std::uint64_t>()));
  entry.begin = offsets[0].get<std::uint64_t>();
  entry.end = offsets[1].get<std::uint64_t>();
  const auto bytes = byte_size(entry.shape, *entry.dtype);
  if (!bytes || entry.begin > entry.end || entry.end - entry.begin != *bytes) {
    return fail("data_offsets and shape do not agree");
  }
  return entry;
}

// The data area must be covered exactly: entries side by side from 0 to its end, as the format demands.
Status check_cover(std::vector<Entry>& entries, std::uint64_t size, const std::string& file) {
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return std::pair(a.begin, a.end) < std::pair(b.begin, b.end); });
  std::uint64_t at = 0;
  for (const Entry& entry : entries) {
    if (entry.end > size) {
      return broken(file, fmt::format("tensor \"{}\" ends at byte {} of the data, but the file has only {}: truncated?",
                                      entry.name, entry.end, size));
    }
    if (entry.begin != at) return broken(file, fmt::format("tensor \"{}\" overlaps or leaves a gap", entry.name));
    at = entry.end;
  }
  if (at != size) return broken(file, fmt::format("{} bytes of data belong to no tensor", size - at));
  return success();
}

at::Tensor make_tensor(const Entry& entry, std::span<const std::byte> data, const std::shared_ptr<void>& owner) {
  const std::byte* start = data.data() + entry.begin;
  const auto options = at::TensorOptions().dtype(entry.dtype->type);
  if (entry.begin == entry.end) return at::empty(entry.shape, options);
  // Foreign files may align to nothing; typed reads at odd addresses are undefined.
  if (reinterpret_cast<std::uintptr_t>(start) % entry.dtype->size != 0) {
    const auto copy = std::make_shared<std::vector<std::uint64_t>>((entry.end - entry.begin + 7) / 8);
    std::memcpy(copy->data(), start, entry.end - entry.begin);
    return at::from_blob(
        copy->data(), entry.shape, [copy](void*) {}, options);
  }
  return at::from_blob(
      const_cast<std::byte*>(start), entry.shape, [owner](void*) {}, options);
}

Result<json> parse_header(std::span<const std::byte> bytes, std::uint64_t& data_start, const std::string& file) {
  std::uint64_t length = 0;
  if (bytes.size() < sizeof(length)) return broken(file, "shorter than its header");
  std::memcpy(&length, bytes.data(), sizeof(length));  // little-endian, as every platform we build for
  if (length > kMaxHeader) return broken(file, "the header's length is out of range");
  if (length > bytes.size() - sizeof(length)) return broken(file, "truncated inside the header");
  data_start = sizeof(length) + length;
  const char* text = reinterpret_cast<const char*>(bytes.data()) + sizeof(length);
  // A callback that bounds the depth: the header is two levels deep, garbage could be a million.
  json header = json::parse(
      text, text + length, [](int depth, json::parse_event_t, json&) { return depth < 8; }, false);
  if (!header.is_object()) return broken(file, "the header is not a JSON object");
  return header;
}

// A private, writable mapping: writes stay in this process.
Result<std::shared_ptr<void>> map_file(const std::string& file, std::size_t& size) {
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return system_error(errno, "open", file);
  struct stat info {};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(fd);
    return Error{Errc::invalid_argument, file + ": not a regular file"};
  }
  size = static_cast<std::size_t>(info.st_size);
  if (size == 0) {
    ::close(fd);
    return broken(file, "the file is empty");
  }
  void* start = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
  const int error = errno;
  ::close(fd);
  if (start == MAP_FAILED) return system_error(error, "map", file);
  return std::shared_ptr<void>(start, [size](void* p) { ::munmap(p, size); });
}

}  // namespace

Result<SafetensorsFile> parse_safetensors(std::span<const std::byte> bytes, std::shared_ptr<void> owner,
                                          const std::string& file) {
  std::uint64_t start = 0;
  FATHOM_ASSIGN(const json header, parse_header(bytes, start, file));
  const std::span<const std::byte> data = bytes.subspan(start);
  SafetensorsFile out;
  std::vector<Entry> entries;
  for (const auto& [name, value] : header.items()) {
    if (name == "__metadata__") {
      if (!value.is_object()) return broken(file, "__metadata__ is not an object");
      for (const auto& [key, text] : value.items()) {
        if (!text.is_string()) return broken(file, "__metadata__ holds more than strings");
        out.metadata[key] = text.get<std::string>();
      }
      continue;
    }
    FATHOM_ASSIGN(Entry entry, parse_entry(name, value, file));
    entries.push_back(std::move(entry));
  }
  FATHOM_TRY(check_cover(entries, data.size(), file));
  for (const Entry& entry : entries) out.tensors.emplace(entry.name, make_tensor(entry, data, owner));
  return out;
}

Result<SafetensorsFile> read_safetensors(const std::filesystem::path& file) {
  std::size_t size = 0;
  FATHOM_ASSIGN(std::shared_ptr<void> mapping, map_file(file.string(), size));
  const auto* start = static_cast<const std::byte*>(mapping.get());
  return parse_safetensors({start, size}, mapping, file.string());
}

Status write_safetensors(const std::filesystem::path& file, const NamedTensors& tensors,
                         const std::map<std::string, std::string>& metadata) {
  json header = json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::vector<at::Tensor> flat;
  std::uint64_t offset = 0;
  for (const auto& [name, tensor] : tensors) {
    const DType* dtype = dtype_by_type(tensor.scalar_type());
    if (!dtype) return Error{Errc::invalid_argument, "tensor \"" + name + "\" has a dtype that safetensors lacks"};
    flat.push_back(tensor.detach().cpu().contiguous());
    const std::uint64_t end = offset + flat.back().nbytes();
    header[name] = {{"dtype", dtype->safetensors}, {"shape", tensor.sizes().vec()}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  // nlohmann keeps keys sorted. Padding with spaces aligns the data to 8 bytes.
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');
  const std::uint64_t length = text.size();
  std::string bytes(reinterpret_cast<const char*>(&length), sizeof(length));
  bytes.reserve(sizeof(length) + text.size() + offset);
  bytes += text;
  for (const at::Tensor& tensor : flat)
    bytes.append(static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes());
  return write_file_atomic(file.string(), bytes);
}

}  // namespace fathom::trainer
