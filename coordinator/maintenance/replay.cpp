#include "coordinator/maintenance/replay.hpp"

#include "coordinator/core/event.pb.h"

namespace fathom::maintenance {
namespace {

// More than a coordinator grants or starts in the time that a backup can be old: a billion leases, a million starts.
constexpr std::uint64_t kLeaseLeap = 1'000'000'000;
constexpr std::uint64_t kEpochLeap = 1'000'000;

template <class Event>
void collect(const Event& event, std::map<std::string, std::uint64_t>& files) {
  for (const event::File& file : event.files()) files[file.sha256()] = file.size();
}

}  // namespace

Status Replay::take(const store::EventRecord& record) {
  event::Event event;
  if (!event.ParseFromString(record.bytes) || event.seq() != record.seq) {
    return Error{Errc::corrupt, "record " + std::to_string(record.seq) + " is no event"};
  }
  FATHOM_TRY(core_.replay(event));
  if (event.has_job_finished()) collect(event.job_finished(), final_files_);
  if (event.has_job_stopped()) collect(event.job_stopped(), final_files_);
  if (event.has_job_reused()) collect(event.job_reused(), final_files_);
  const core::State& state = core_.state();
  events_ = event.seq();
  epoch_ = state.epoch;
  next_lease_ = state.next_lease;
  jobs_ = state.jobs();
  return success();
}

store::EventRecord repaired_event(const Replay& replay, const std::string& why, WallTime now) {
  event::Event event;
  event.set_seq(replay.events() + 1);
  event.set_wall_ms(now.time_since_epoch().count());
  event.set_version(core::kEventVersion);
  auto* repaired = event.mutable_log_repaired();
  repaired->set_why(why);
  repaired->set_epoch(replay.epoch() + kEpochLeap);
  repaired->set_next_lease(replay.next_lease() + kLeaseLeap);
  return {event.seq(), event.SerializeAsString()};
}

}  // namespace fathom::maintenance
