// The few things that the spool asks of a disk, so that the simulation can put one under it that fails, fills up and
// forgets what was not synced. Thread: a Disk from any thread, a DiskFile from one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.hpp"

namespace fathom::worker {

class DiskFile {
 public:
  virtual ~DiskFile() = default;                         // closes
  [[nodiscard]] virtual std::uint64_t size() const = 0;  // when it was opened
  // Writes all of `bytes` or says why not; then any part of them may be there. Not durable until sync().
  [[nodiscard]] virtual Status write(std::uint64_t offset, std::string_view bytes) = 0;
  [[nodiscard]] virtual Status truncate(std::uint64_t size) = 0;
  [[nodiscard]] virtual Status sync() = 0;
};

class Disk {
 public:
  virtual ~Disk() = default;
  // For writing; made when there is none.
  [[nodiscard]] virtual Result<std::unique_ptr<DiskFile>> open(const std::filesystem::path& file) = 0;
  [[nodiscard]] virtual Result<std::string> read(const std::filesystem::path& file, std::uint64_t limit) = 0;
  // As write_file_atomic() of common/files.hpp.
  [[nodiscard]] virtual Status replace(const std::filesystem::path& file, std::string_view bytes) = 0;
  virtual void remove(const std::filesystem::path& file) = 0;  // absent is success; a failure leaves it there
  [[nodiscard]] virtual std::vector<std::filesystem::path> list(const std::filesystem::path& folder) = 0;
  [[nodiscard]] virtual Status sync_folder(const std::filesystem::path& folder) = 0;
};

// The machine's own.
[[nodiscard]] Disk& system_disk();

}  // namespace fathom::worker
