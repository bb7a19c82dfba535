#include "tests/sim/checker.hpp"

#include <functional>
#include <optional>

#include "common/protocol/fences.hpp"
#include "common/protocol/wire.pb.h"
#include "common/sha256.hpp"
#include "coordinator/core/cache.hpp"
#include "coordinator/core/core.hpp"
#include "coordinator/core/inspect.hpp"
#include "coordinator/core/machine.hpp"
#include "tests/sim/memory_artifacts.hpp"
#include "tests/sim/training.hpp"

namespace fathom::sim {
namespace {

std::string name_of(const event::Event& event) {
  const auto* field = event.GetDescriptor()->FindFieldByNumber(event.payload_case());
  return field == nullptr ? "nothing" : field->name();
}

// The attempt that an item's event is about, with the item's sequence; 0: no item made it.
const event::Fence* fence_in(const event::Event& event) {
  switch (event.payload_case()) {
    case event::Event::kJobStarted:
      return &event.job_started().fence();
    case event::Event::kReportRecorded:
      return &event.report_recorded().fence();
    case event::Event::kCheckpointCommitted:
      return &event.checkpoint_committed().fence();
    case event::Event::kJobFinished:
      return &event.job_finished().fence();
    case event::Event::kJobFailed:
      return &event.job_failed().fence();
    case event::Event::kJobBackedOff:
      return &event.job_backed_off().fence();
    case event::Event::kJobStopped:
      return &event.job_stopped().fence();
    case event::Event::kLeaseReleased:
      return &event.lease_released().fence();
    case event::Event::kLateItem:
      return &event.late_item().fence();
    default:
      return nullptr;
  }
}

// Whether this event says what the item said.
bool follows(const event::Event& event, const wire::Item& item) {
  switch (event.payload_case()) {
    case event::Event::kJobStarted:
      return item.has_started() && item.started().resumed_epoch() == event.job_started().resumed_epoch();
    case event::Event::kReportRecorded:
      return item.has_report() && item.report().epoch() == event.report_recorded().epoch() &&
             item.report().objective() == event.report_recorded().objective();
    case event::Event::kCheckpointCommitted:
      return item.has_checkpoint() && item.checkpoint().file().sha256() == event.checkpoint_committed().file().sha256();
    case event::Event::kJobFinished:
      return item.has_finished() && item.finished().result() == event.job_finished().result();
    case event::Event::kJobFailed:
    case event::Event::kJobBackedOff:
      return item.has_failed();
    case event::Event::kJobStopped:
      return item.has_stopped();
    case event::Event::kLeaseReleased:
      return item.has_stopped();
    default:
      return true;  // LateItem: any
  }
}

}  // namespace

void Checker::complain(const std::string& what) { broken_.push_back(what); }

void Checker::restarted() { next_ = 1; }

void Checker::event(const event::Event& event) {
  const std::uint64_t hash = std::hash<std::string>{}(event.SerializeAsString());
  if (event.seq() != next_) complain("I6: event " + std::to_string(event.seq()) + " follows " + std::to_string(next_));
  next_ = event.seq() + 1;
  const auto index = static_cast<std::size_t>(event.seq() - 1);
  if (event.seq() <= promised_) {
    if (hashes_[index] != hash) {
      complain("I1: event " + std::to_string(event.seq()) + " was durable and is another one now: " + name_of(event));
    }
    return;
  }
  hashes_.resize(index);
  hashes_.push_back(hash);
}

void Checker::durable(std::uint64_t seq) { promised_ = std::max(promised_, seq); }

void Checker::state(const core::State& state) {
  ++checks_;
  for (const std::string& what : core::invariants(state)) complain(what);
}

void Checker::sent(const wire::Envelope& from_worker) {
  for (const wire::Item& item : from_worker.items().items()) {
    const auto [known, fresh] =
        items_.try_emplace({from_wire(item.fence()), item.sequence()}, item.SerializeAsString());
    if (!fresh && known->second != item.SerializeAsString()) {
      complain("item " + std::to_string(item.sequence()) + " of " + describe(known->first.first) +
               " was sent again with another content");
    }
  }
}

void Checker::arrived(const wire::Envelope& at_worker) {
  if (!at_worker.has_item_ack() || at_worker.item_ack().late()) return;
  const wire::ItemAck& ack = at_worker.item_ack();
  std::uint64_t& highest = acked_[{ack.job(), ack.generation(), ack.attempt()}];
  highest = std::max(highest, ack.sequence());
}

void Checker::submitted(const std::string& sweep, std::uint32_t jobs) { submitted_[sweep] = jobs; }

void Checker::cancelled(JobNumber job, SweepNumber sweep, std::uint64_t seq) { cancels_.push_back({job, sweep, seq}); }

// An event that an item made must say what this very attempt sent under this very number.
void Checker::check_item(const event::Event& event, const event::Fence& fence) {
  if (fence.sequence() == 0) return;
  const Fence key{JobNumber(fence.job()), fence.generation(), fence.attempt(), LeaseId(fence.lease())};
  std::uint64_t& logged = logged_[{fence.job(), fence.generation(), fence.attempt()}];
  logged = std::max(logged, fence.sequence());
  const auto sent = items_.find({key, fence.sequence()});
  wire::Item item;
  if (sent == items_.end() || !item.ParseFromString(sent->second) || !follows(event, item)) {
    complain("event " + std::to_string(event.seq()) + " (" + name_of(event) + ") is not what " + describe(key) +
             " sent as item " + std::to_string(fence.sequence()));
  }
}

// Terminal states once (I3), nothing of a job after its end, rungs once (I9).
void Checker::check_order(const event::Event& event) {
  if (event.has_lease_granted()) {
    const std::uint64_t job = event.lease_granted().fence().job();
    granted_[job] = event.seq();
    if (const auto end = ended_.find(job); end != ended_.end()) {
      complain("I3: job " + std::to_string(job) + " " + end->second.how + " and was given out again");
    }
  }
  // A verdict that was held is told by a second event of the same entry.
  const bool entered = event.has_rung_entered() && !event.rung_entered().decided();
  if (entered && !rungs_.emplace(event.rung_entered().job(), event.rung_entered().rung()).second) {
    complain("I9: job " + std::to_string(event.rung_entered().job()) + " entered rung " +
             std::to_string(event.rung_entered().rung()) + " twice");
  }
  if (event.job() == 0 || !core::is_terminal(static_cast<core::Phase>(event.phase())) || event.has_late_item()) return;
  const auto [end, first] = ended_.try_emplace(event.job(), Ended{name_of(event), event.seq()});
  if (!first && !event.has_rung_entered()) {
    complain("I3: job " + std::to_string(event.job()) + " ended twice: " + end->second.how + ", " + name_of(event));
  }
}

// What has a result is not given out, and no result is made twice, but where the one that was known could not be read.
void Checker::check_known(const event::Event& event) {
  const bool granted = event.has_lease_granted();
  if (!granted && !(event.has_job_finished() && event.job_finished().key() != 0)) return;
  const core::Job* job =
      replica_.job(JobNumber(granted ? event.lease_granted().fence().job() : event.job_finished().fence().job()));
  if (job == nullptr) return;
  if (granted) {
    const core::KnownResult* known = core::known_result(replica_, *job, core::result_key(replica_, *job));
    if (known != nullptr)
      complain("I11: job " + std::to_string(job->number.value()) + " was given out, and job " +
               std::to_string(known->job) + " has its result");
    return;
  }
  // Settings that rest at rungs wait for each other's values and take no results (docs/decisions/0021).
  const core::Sweep& sweep = *replica_.sweep(job->sweep);
  const bool takes = !core::is_grouped(sweep, *job) || !sweep.groups[sweep.group_of[job->index]].stopper.pauses();
  // One that is being stopped or cancelled may end with its result before it hears of that.
  const core::Phase phase = core::phase_of(*job);
  const bool runs = phase == core::Phase::leased || phase == core::Phase::running;
  const auto [made, first] = made_.try_emplace(event.job_finished().key(), job->number.value());
  if (!first && runs && takes && !job->fresh)
    complain("I11: the result of job " + std::to_string(made->second) + " was made again by job " +
             std::to_string(job->number.value()));
}

Status Checker::record(std::uint64_t seq, const std::string& bytes) {
  event::Event event;
  if (!event.ParseFromString(bytes)) return Error{Errc::corrupt, "event " + std::to_string(seq) + " cannot be read"};
  ++kinds_[name_of(event)];
  check_known(event);
  FATHOM_TRY(core::evolve(replica_, event));
  if (const event::Fence* fence = fence_in(event)) check_item(event, *fence);
  check_order(event);
  if (event.has_job_finished()) {
    const auto& done = event.job_finished();
    results_[event.job()] = {done.result(), {done.files().begin(), done.files().end()}};
  }
  if (event.has_job_reused()) {
    const auto& taken = event.job_reused();
    results_[event.job()] = {taken.result(), {taken.files().begin(), taken.files().end()}};
  }
  return success();
}

std::uint64_t Checker::expected_value(const core::State& state, const core::Job& job) {
  const auto known = values_.find(job.number.value());
  if (known != values_.end()) return known->second;
  const sweeps::Job& planned = state.planned(job);
  std::uint64_t value = value_at_start(planned.id.text());
  for (const JobNumber input : job.inputs) {
    value = mix(value, value_file(expected_value(state, *state.job(input))));
  }
  for (std::uint32_t epoch = 1; epoch <= planned.epochs; ++epoch) value = mix(value, epoch);
  return values_[job.number.value()] = value;
}

// A job that was lost, resumed and moved any number of times has the result of an undisturbed one, and its tree.
void Checker::check_result(const core::State& state, const core::Job& job) {
  const sweeps::Job& planned = state.planned(job);
  BestEpoch best;
  for (std::uint32_t epoch = 1; epoch <= planned.epochs; ++epoch)
    best.see(objective_of(planned.id.text(), epoch), epoch);
  if (planned.epochs == 0) best.see(objective_of(planned.id.text(), 0), 0);
  const std::string expected = result_text(best, expected_value(state, job));
  const auto found = results_.find(job.number.value());
  const std::string what = "job " + std::to_string(job.number.value());
  if (found == results_.end()) return complain("I3: " + what + " succeeded without a result");
  if (found->second.first != expected) {
    complain(what + " has the result " + found->second.first + ", an undisturbed one " + expected);
  }
}

void Checker::finish(const core::State& state, const MemoryArtifacts& artifacts) {
  if (core::digest(replica_) != core::digest(state)) complain("I6: the log makes another state than the living one");
  for (const auto& [id, jobs] : submitted_) {
    const core::Sweep* sweep = state.find_sweep(id);
    if (sweep == nullptr || sweep->plan->jobs.size() != jobs) complain("I1: the submitted sweep " + id + " is lost");
  }
  for (const Cancel& cancel : cancels_) {
    for (const auto& [job, seq] : granted_) {
      const bool about =
          cancel.job.value() == job || (cancel.sweep.value() != 0 && state.job(JobNumber(job))->sweep == cancel.sweep);
      if (about && seq > cancel.seq) complain("I1: job " + std::to_string(job) + " was given out after its cancel");
    }
  }
  for (const auto& [attempt, sequence] : acked_) {
    const auto logged = logged_.find(attempt);
    if (logged == logged_.end() || logged->second < sequence) {
      complain("I1: item " + std::to_string(sequence) + " of job " + std::to_string(std::get<0>(attempt)) +
               ", attempt " + std::to_string(std::get<2>(attempt)) + " was acknowledged and is not in the log");
    }
  }
  for (const core::Sweep& sweep : state.sweeps) {
    if (sweep.outcome.empty()) complain("I8: sweep " + sweep.id + " has not ended");
  }
  for (const core::Job* one : core::all_jobs(state)) {
    const core::Job& job = *one;
    if (!core::is_terminal(core::phase_of(job))) complain("I8: job " + std::to_string(job.number.value()) + " is open");
    if (core::phase_of(job) == core::Phase::succeeded) check_result(state, job);
  }
  for (const auto& [job, result] : results_) {
    for (const event::File& file : result.second) {
      const std::string* bytes = artifacts.bytes(file.sha256());
      if (bytes == nullptr || sha256_hex(*bytes) != file.sha256()) {
        complain("I5: a final file of job " + std::to_string(job) + " is not what its name says");
      }
    }
  }
  for (const auto& [sha256, uses] : state.checkpoint_uses) {
    const std::string* bytes = artifacts.bytes(sha256.str());
    if (bytes == nullptr || sha256_hex(*bytes) != sha256) complain("I5: a kept checkpoint is gone or damaged");
  }
}

}  // namespace fathom::sim
