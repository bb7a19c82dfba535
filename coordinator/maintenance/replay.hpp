// Reads an event log the way a starting coordinator does, and keeps what a check or a repair has to know about it.
// Thread: one; plain values.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "common/result.hpp"
#include "coordinator/core/core.hpp"
#include "coordinator/store/event_store.hpp"

namespace fathom::maintenance {

// Takes records in their order until one does not follow; what came before stays known.
class Replay {
 public:
  // corrupt or unsupported: the record cannot follow the ones before; the Replay takes no more.
  Status take(const store::EventRecord& record);

  [[nodiscard]] std::uint64_t events() const { return events_; }
  [[nodiscard]] std::uint64_t epoch() const { return epoch_; }
  [[nodiscard]] std::uint64_t next_lease() const { return next_lease_; }
  [[nodiscard]] std::uint64_t jobs() const { return jobs_; }
  // After the last sound event; of no use once take() has failed.
  [[nodiscard]] const core::State& state() const { return core_.state(); }
  // Hash and size of every artifact of a final/ tree.
  [[nodiscard]] const std::map<std::string, std::uint64_t>& final_files() const { return final_files_; }

 private:
  core::Core core_{core::Options{}};
  std::uint64_t events_ = 0, epoch_ = 0, next_lease_ = 1, jobs_ = 0;
  std::map<std::string, std::uint64_t> final_files_;
};

// The event that follows the last sound one of a log that lost its end: numbers go on from far above, so that nothing
// given out in the lost part is ever valid again.
store::EventRecord repaired_event(const Replay& replay, const std::string& why, WallTime now);

}  // namespace fathom::maintenance
