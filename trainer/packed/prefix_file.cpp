#include "trainer/packed/prefix_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstring>
#include <optional>

#include "common/files.hpp"
#include "common/sha256.hpp"

namespace fathom::trainer::packed {
namespace {

constexpr std::uint64_t kLine = 64;

struct Header {
  std::array<char, 8> magic = {'F', 'T', 'H', 'P', 'R', 'E', 'F', '1'};
  std::uint64_t rows = 0, stored = 0, width = 0;
  std::array<char, 64> key{};  // SHA-256 of the key and of the rows' lengths
};
static_assert(sizeof(Header) <= 2 * kLine);

constexpr std::uint64_t rounded(std::uint64_t bytes) { return (bytes + kLine - 1) / kLine * kLine; }

// Where the rows begin: behind the header and one checksum a row.
constexpr std::uint64_t data_at(std::uint64_t stored) { return 2 * kLine + rounded(stored * sizeof(std::uint64_t)); }

Header header_of(const std::string& key, const PrefixShape& shape, std::uint64_t stored) {
  Header header;
  header.rows = shape.rows();
  header.stored = stored;
  header.width = shape.width;
  Sha256 hash;
  hash.update(key);
  hash.update({reinterpret_cast<const char*>(shape.starts.data()), shape.starts.size() * sizeof shape.starts[0]});
  const auto hex = hash.hex();
  std::copy_n(hex.begin(), header.key.size(), header.key.begin());
  return header;
}

// Never 0, which says that nothing is there. Against torn and lost pages, not against forgery: four independent lanes
// of multiply and rotate read as fast as memory delivers.
std::uint64_t checksum(const float* data, std::uint64_t count) {
  std::array<std::uint64_t, 4> lanes = {1, 2, 3, 4};
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  const std::uint64_t words = count * sizeof(float) / sizeof(std::uint64_t);
  for (std::uint64_t i = 0; i < words; ++i) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes + i * sizeof word, sizeof word);
    auto& lane = lanes[i % 4];
    lane = std::rotl(lane ^ word, 29) * 0x9E3779B97F4A7C15U;
  }
  std::uint64_t sum = count;
  for (const auto lane : lanes) sum = std::rotl(sum ^ lane, 31) * 0xBF58476D1CE4E5B9U;
  return sum == 0 ? 1 : sum;
}

std::atomic_ref<std::uint64_t> sum_of(std::byte* memory, std::uint32_t row) {
  return std::atomic_ref(reinterpret_cast<std::uint64_t*>(memory + 2 * kLine)[row]);
}

// A new file under another name that takes the name at once: nobody meets one without its header or its disk.
Status make(const std::filesystem::path& path, const Header& header, std::uint64_t size) {
  const auto temporary = path.string() + ".part";
  const Descriptor file(::open(temporary.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (file.get() < 0) return system_error(errno, "cannot make", temporary);
  // All of it now: a disk that fills up later would end the process in the middle of a write to the map.
  int failure = ::posix_fallocate(file.get(), 0, static_cast<off_t>(size));
  if (failure == 0 && ::pwrite(file.get(), &header, sizeof header, 0) != static_cast<ssize_t>(sizeof header))
    failure = errno;
  if (failure == 0 && ::rename(temporary.c_str(), path.c_str()) != 0) failure = errno;
  if (failure == 0) return success();
  ::unlink(temporary.c_str());
  return system_error(failure, "cannot make", path.string());
}

// Rows that have a place in an open file; nothing when it is not one for `wanted`. Whoever made it may have had room
// for more rows or for fewer.
std::optional<std::uint64_t> stored_in(int fd, Header wanted, const PrefixShape& shape) {
  Header found;
  struct stat status {};
  if (::fstat(fd, &status) != 0 || ::pread(fd, &found, sizeof found, 0) != static_cast<ssize_t>(sizeof found) ||
      found.stored > shape.rows() || static_cast<std::uint64_t>(status.st_size) != shape.bytes(found.stored))
    return std::nullopt;
  wanted.stored = found.stored;
  if (std::memcmp(&found, &wanted, sizeof found) != 0) return std::nullopt;
  return found.stored;
}

}  // namespace

std::uint64_t PrefixShape::bytes(std::uint64_t rows) const {
  return data_at(rows) + starts[rows] * width * 2 * sizeof(float);
}

Result<std::unique_ptr<PrefixFile>> PrefixFile::open(const std::filesystem::path& path, const std::string& key,
                                                     std::shared_ptr<const PrefixShape> shape, std::uint64_t stored) {
  const auto header = header_of(key, *shape, stored);
  for (const bool again : {true, false}) {
    Descriptor file(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    const auto there = file.get() < 0 ? std::nullopt : stored_in(file.get(), header, *shape);
    if (!there && stored == 0) return Error{Errc::not_found, path.string() + " is not there"};
    if (!there) {
      if (!again) return Error{Errc::internal, path.string() + " is not what was just made there"};
      if (auto made = make(path, header, shape->bytes(stored)); !made) return made.error();
      continue;
    }
    ::flock(file.get(), LOCK_SH);
    ::futimens(file.get(), nullptr);  // used now
    const auto size = shape->bytes(*there);
    auto* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
    if (memory == MAP_FAILED) return system_error(errno, "cannot map", path.string());
    return std::unique_ptr<PrefixFile>(
        new PrefixFile(Descriptor(file.release()), std::move(shape), *there, static_cast<std::byte*>(memory), size));
  }
  return Error{Errc::internal, path.string()};
}

PrefixFile::PrefixFile(Descriptor file, std::shared_ptr<const PrefixShape> shape, std::uint64_t stored,
                       std::byte* memory, std::uint64_t size)
    : file_(file.release()),
      shape_(std::move(shape)),
      stored_(stored),
      memory_(memory),
      size_(size),
      verified_(stored) {}

PrefixFile::~PrefixFile() { ::munmap(memory_, size_); }

float* PrefixFile::block(std::uint32_t row) const {
  return reinterpret_cast<float*>(memory_ + data_at(stored_)) + shape_->starts[row] * shape_->width * 2;
}

bool PrefixFile::read(std::uint32_t row, float* x, float* product) {
  if (row >= stored_) return false;
  const auto sum = sum_of(memory_, row).load(std::memory_order_acquire);
  if (sum == 0) return false;
  const auto size = (shape_->starts[row + 1] - shape_->starts[row]) * shape_->width;
  const float* from = block(row);
  if (!verified_[row]) {
    if (checksum(from, 2 * size) != sum) return false;
    verified_[row] = true;
  }
  std::memcpy(x, from, size * sizeof(float));
  std::memcpy(product, from + size, size * sizeof(float));
  return true;
}

void PrefixFile::write(std::uint32_t row, const float* x, const float* product) {
  if (row >= stored_ || verified_[row]) return;
  const auto size = (shape_->starts[row + 1] - shape_->starts[row]) * shape_->width;
  float* to = block(row);
  std::memcpy(to, x, size * sizeof(float));
  std::memcpy(to + size, product, size * sizeof(float));
  sum_of(memory_, row).store(checksum(to, 2 * size), std::memory_order_release);
  verified_[row] = true;
}

}  // namespace fathom::trainer::packed
