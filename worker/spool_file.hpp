// The format of the spool: what the coordinator has not acknowledged, on disk before it is sent. All attempts of a
// worker share one file at a time (a segment), so that one sync makes durable whatever they have said meanwhile.
//
//   "FSPL" u8 version 2, 3 zero bytes, then records:
//   u32 LE length of the payload | u32 LE CRC-32C of kind and payload | u8 kind | payload
//
// kind 1: wire::Fence, the attempt that the records behind it are of; 2: wire::Item; 3: wire::MetricBatch; 4:
// wire::LogChunk; 5: nothing that stands before it is needed of this attempt. Version 1 had one attempt a file.
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

enum class SpoolKind : std::uint8_t { fence = 1, item = 2, metrics = 3, log = 4, forget = 5 };

struct SpoolRecord {
  SpoolKind kind = SpoolKind::item;
  std::string payload;  // protobuf
};

// What a segment holds of one attempt, without fences, and nothing that was forgotten.
struct SpoolContents {
  Fence fence;
  std::vector<SpoolRecord> records;
};

struct SpoolSegment {
  std::vector<SpoolContents> attempts;  // in the order of their first records; those with none left too
  std::vector<Fence> forgotten;         // whose records in earlier segments are not needed
  bool torn = false;                    // bytes behind the last whole record were ignored
};

// "00000012.spool".
[[nodiscard]] std::string spool_file_name(std::uint64_t number);

// Adds to `out` what makes the records behind it the attempt's, and one record.
void append_spool_fence(const Fence& fence, std::string& out);
void append_spool_record(SpoolKind kind, std::string_view payload, std::string& out);

// A segment that is being written. Thread: one. Closes on destruction.
class SpoolFile {
 public:
  // Makes the file, durable with its folder.
  [[nodiscard]] static Result<SpoolFile> create(const std::filesystem::path& path, Disk& disk = system_disk());

  // One write; not durable until sync(). After a failure the file ends where it did before.
  [[nodiscard]] Status append(std::string_view records);
  [[nodiscard]] Status sync() { return file_->sync(); }
  [[nodiscard]] std::uint64_t size() const { return size_; }

 private:
  explicit SpoolFile(std::unique_ptr<DiskFile> file) : file_(std::move(file)), size_(file_->size()) {}

  std::unique_ptr<DiskFile> file_;
  std::uint64_t size_;  // bytes of whole records
};

// corrupt: no spool.
[[nodiscard]] Result<SpoolSegment> read_spool(const std::filesystem::path& file, Disk& disk = system_disk());

}  // namespace fathom::worker
