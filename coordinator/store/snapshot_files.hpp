// Snapshots of the core's state beside the event log: `snapshot-SEQ` in one folder, whole or absent. They hold nothing
// that the log does not: one that cannot be read is passed over, and all may be deleted.
//
// A file is "FSNAP" with the format's number, then records: u32 length, u32 CRC32C, fathom.snapshot.Record; both
// numbers little-endian. Thread: one at a time. Errors: those of the disk (common/files.hpp); corrupt for what is read.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <vector>

#include "common/result.hpp"
#include "coordinator/core/snapshot.hpp"

namespace fathom::store {

class SnapshotFiles {
 public:
  explicit SnapshotFiles(std::filesystem::path folder) : folder_(std::move(folder)) {}

  // Events after which there are snapshots, the newest first. Empty: none, or no folder.
  [[nodiscard]] std::vector<std::uint64_t> list() const;
  // `fill` gives the records to the sink. Durable when this returns; the folder is made, and what a crash left is
  // removed.
  Status write(std::uint64_t seq, const std::function<Status(const core::RecordSink&)>& fill);
  // Every record in order; corrupt at the first that is damaged, also when the end is missing.
  Status read(std::uint64_t seq, const core::RecordSink& each) const;
  // The first record alone.
  [[nodiscard]] Result<snapshot::Head> head(std::uint64_t seq) const;
  void remove(std::uint64_t seq);
  // All but the newest `count`.
  void keep(std::size_t count);

 private:
  [[nodiscard]] std::filesystem::path path_of(std::uint64_t seq) const;
  std::filesystem::path folder_;
};

}  // namespace fathom::store
