// Text that jobs printed. Per attempt a run of segment files below `folder`; byte k of an attempt's log lies at its own
// place, so that a repeated chunk changes nothing and a lost one leaves a hole that is not shown. Bounded: of each
// attempt the newest bytes are kept, of each job the newest attempts.
// Chunks are written, not synced: a crash of the process loses nothing, a power loss may cost the last lines.
#pragma once

#include <cstdint>
#include <filesystem>
#include <mutex>
#include <string>
#include <string_view>

#include "common/ids.hpp"
#include "common/result.hpp"

namespace fathom::store {

struct LogLimits {
  std::uint64_t bytes_per_attempt = 4U << 20;  // at least half of this much of the end is always there
  std::uint32_t attempts_per_job = 4;
};

// Thread: every method from any thread.
class LogStore {
 public:
  // `folder` is made when needed.
  explicit LogStore(std::filesystem::path folder, LogLimits limits = {});

  // `offset` = bytes of this attempt's log before `text`. Returns the bytes of the attempt's log that are now stored or
  // were dropped as too old: what to acknowledge. resource_exhausted: disk full.
  Result<std::uint64_t> append(const Fence& fence, std::uint64_t offset, std::string_view text);

  // The last `bytes` of a job's log, all kept attempts, each after a heading line where there are several. Empty text
  // where nothing was logged.
  Result<std::string> tail(JobNumber job, std::uint64_t bytes);

  // Removes the logs of jobs with this number or a higher one.
  Status forget(JobNumber first);

 private:
  [[nodiscard]] std::filesystem::path folder_of(JobNumber job) const;

  std::mutex mutex_;  // orders writers of one file
  std::filesystem::path folder_;
  LogLimits limits_;
};

}  // namespace fathom::store
