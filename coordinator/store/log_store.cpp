#include "coordinator/store/log_store.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <tuple>
#include <vector>

#include <fmt/format.h>

#include "common/files.hpp"

namespace fathom::store {
namespace {

namespace fs = std::filesystem;

// One file: bytes [index * half, (index + 1) * half) of one attempt's log, half = bytes_per_attempt / 2. The newest two
// are kept.
struct Segment {
  std::uint32_t generation = 0;
  std::uint32_t attempt = 0;
  std::uint64_t index = 0;
  std::uint64_t size = 0;  // bytes
  auto operator<=>(const Segment&) const = default;
  [[nodiscard]] std::string name() const { return fmt::format("{}-{}.{}.log", generation, attempt, index); }
};

bool same_attempt(const Segment& a, const Segment& b) {
  return std::tie(a.generation, a.attempt) == std::tie(b.generation, b.attempt);
}

bool parse(std::string_view name, Segment& segment) {
  const char* at = name.data();
  const char* end = at + name.size();
  const auto number = [&](auto& value, char after) {
    const auto [next, error] = std::from_chars(at, end, value);
    if (error != std::errc{} || next == end || *next != after) return false;
    at = next + 1;
    return true;
  };
  return number(segment.generation, '-') && number(segment.attempt, '.') && number(segment.index, '.') &&
         std::string_view(at, static_cast<std::size_t>(end - at)) == "log";
}

// In order: generation, attempt, index. Files that are not ours are left alone.
std::vector<Segment> segments_of(const fs::path& folder) {
  std::vector<Segment> found;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    Segment segment;
    if (!parse(entry.path().filename().string(), segment)) continue;
    segment.size = entry.file_size(ignored);
    found.push_back(segment);
  }
  std::sort(found.begin(), found.end());
  return found;
}

Status write_at(const fs::path& file, std::uint64_t offset, std::string_view bytes) {
  const int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
  if (descriptor < 0) return system_error(errno, "opening", file.string());
  while (!bytes.empty()) {
    const ssize_t wrote = ::pwrite(descriptor, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) {
      const int number = errno;
      ::close(descriptor);
      return system_error(number, "writing", file.string());
    }
    bytes.remove_prefix(static_cast<std::size_t>(wrote));
    offset += static_cast<std::uint64_t>(wrote);
  }
  ::close(descriptor);
  return success();
}

// Makes room after `newest` got its first byte: older segments of its attempt, older attempts of its job.
void forget_old(const fs::path& folder, const Segment& newest, std::uint32_t attempts) {
  std::vector<Segment> all = segments_of(folder);
  std::uint32_t seen = 0;
  for (auto segment = all.rbegin(); segment != all.rend(); ++segment) {
    if (segment == all.rbegin() || !same_attempt(*segment, *std::prev(segment))) ++seen;
    const bool passed = same_attempt(*segment, newest) && segment->index + 1 < newest.index;
    std::error_code ignored;
    if (seen > attempts || passed) fs::remove(folder / segment->name(), ignored);
  }
}

}  // namespace

LogStore::LogStore(fs::path folder, LogLimits limits) : folder_(std::move(folder)), limits_(limits) {
  limits_.bytes_per_attempt = std::max<std::uint64_t>(limits_.bytes_per_attempt, 2);
  limits_.attempts_per_job = std::max<std::uint32_t>(limits_.attempts_per_job, 1);
}

// A thousand jobs to a folder keeps every listing short.
fs::path LogStore::folder_of(JobNumber job) const {
  return folder_ / std::to_string(job.value() / 1000) / std::to_string(job.value());
}

Result<std::uint64_t> LogStore::append(const Fence& fence, std::uint64_t offset, std::string_view text) {
  const std::uint64_t half = limits_.bytes_per_attempt / 2;
  const fs::path folder = folder_of(fence.job);
  const std::lock_guard lock(mutex_);
  FATHOM_TRY(make_folders(folder.string(), 0750));
  std::uint64_t stored = 0;
  for (const Segment& segment : segments_of(folder)) {
    if (segment.generation != fence.generation || segment.attempt != fence.attempt) continue;
    stored = std::max(stored, segment.index * half + segment.size);
  }
  if (offset > UINT64_MAX / 4 || offset + text.size() <= stored) return stored;
  if (offset < stored) {
    text.remove_prefix(stored - offset);
    offset = stored;
  }
  while (!text.empty()) {
    const Segment segment{fence.generation, fence.attempt, offset / half, 0};
    const std::size_t part = std::min<std::uint64_t>(text.size(), half - offset % half);
    const bool starts = stored <= segment.index * half;
    FATHOM_TRY(write_at(folder / segment.name(), offset % half, text.substr(0, part)));
    if (starts) forget_old(folder, segment, limits_.attempts_per_job);
    text.remove_prefix(part);
    stored = offset += part;
  }
  return stored;
}

Result<std::string> LogStore::tail(JobNumber job, std::uint64_t bytes) {
  const fs::path folder = folder_of(job);
  const std::lock_guard lock(mutex_);
  const std::vector<Segment> all = segments_of(folder);
  const bool several = !all.empty() && !same_attempt(all.front(), all.back());
  std::string text;
  // Backwards, so that a short tail of a long log reads one file.
  for (std::size_t i = all.size(); i-- > 0 && text.size() <= bytes;) {
    const Segment& segment = all[i];
    FATHOM_ASSIGN(std::string part, read_file((folder / segment.name()).string()));
    std::erase(part, '\0');  // holes of chunks that never came
    if (several && (i == 0 || !same_attempt(all[i - 1], segment))) {
      part.insert(0, fmt::format("--- generation {}, attempt {} ---\n", segment.generation, segment.attempt));
    }
    text.insert(0, part);
  }
  if (text.size() <= bytes) return text;
  text.erase(0, text.size() - bytes);
  // Not in the middle of a character or a line, unless the line is all there is.
  const std::size_t line = text.find('\n');
  if (line != std::string::npos && line + 1 < text.size()) text.erase(0, line + 1);
  return text;
}

Status LogStore::forget(JobNumber first) {
  const std::lock_guard lock(mutex_);
  std::error_code error;
  std::vector<fs::path> gone;
  for (const auto& thousand : fs::directory_iterator(folder_, error)) {
    std::error_code inner;
    for (const auto& job : fs::directory_iterator(thousand.path(), inner)) {
      const std::string name = job.path().filename().string();
      std::uint64_t number = 0;
      const auto [end, failed] = std::from_chars(name.data(), name.data() + name.size(), number);
      if (failed == std::errc{} && end == name.data() + name.size() && number >= first.value())
        gone.push_back(job.path());
    }
  }
  for (const fs::path& folder : gone) {
    std::error_code failed;
    fs::remove_all(folder, failed);
    if (failed) return system_error(failed.value(), "removing", folder.string());
  }
  return success();
}

}  // namespace fathom::store
