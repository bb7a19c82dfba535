// The format of one attempt's spool: what the coordinator has not acknowledged, on disk before it is sent.
//
//   "FSPL" u8 version 1, 3 zero bytes, then records:
//   u32 LE length of the payload | u32 LE CRC-32C of kind and payload | u8 kind | payload
//
// kind 1: wire::Fence, the first record; 2: wire::Item; 3: wire::MetricBatch; 4: wire::LogChunk.
// A crash can tear the tail only: reading stops at the first record that is short or whose checksum is wrong.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "common/ids.hpp"
#include "common/result.hpp"
#include "worker/disk.hpp"

namespace fathom::worker {

enum class SpoolKind : std::uint8_t { fence = 1, item = 2, metrics = 3, log = 4 };

struct SpoolRecord {
  SpoolKind kind = SpoolKind::item;
  std::string payload;  // protobuf
};

// "12-1-3.spool" for job 12, generation 1, attempt 3.
[[nodiscard]] std::string spool_file_name(const Fence& fence);

// Open for appending. Thread: one. Closes on destruction.
class SpoolFile {
 public:
  // Makes the file, durable with its folder, or opens the one that is there for more records.
  [[nodiscard]] static Result<SpoolFile> open(const std::filesystem::path& folder, const Fence& fence,
                                              Disk& disk = system_disk());

  // One write; not durable until sync(). After a failure the file ends where it did before.
  [[nodiscard]] Status append(const std::vector<SpoolRecord>& records);
  [[nodiscard]] Status sync() { return file_->sync(); }

 private:
  explicit SpoolFile(std::unique_ptr<DiskFile> file) : file_(std::move(file)), size_(file_->size()) {}
  [[nodiscard]] Status write_bytes(std::string_view bytes);

  std::unique_ptr<DiskFile> file_;
  std::uint64_t size_;  // bytes of whole records
};

struct SpoolContents {
  Fence fence;
  std::vector<SpoolRecord> records;  // without the fence
  bool torn = false;                 // bytes behind the last whole record were ignored
};

// corrupt: no spool, or not even its fence is whole.
[[nodiscard]] Result<SpoolContents> read_spool(const std::filesystem::path& file, Disk& disk = system_disk());

// What an earlier worker left in `folder`: every spool that holds something. Others hold nothing that was ever sent (an
// item counts from its first sync on) and are removed.
[[nodiscard]] std::vector<SpoolContents> read_spools(const std::filesystem::path& folder, Disk& disk = system_disk());

// Replaces the attempt's spool by one with just these records, durably.
[[nodiscard]] Status rewrite_spool(const std::filesystem::path& folder, const Fence& fence,
                                   const std::vector<SpoolRecord>& records, Disk& disk = system_disk());

}  // namespace fathom::worker
