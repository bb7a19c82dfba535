// What attempts report, applied. Each function checks the fence, moves the job, then writes down what was reported.
#include <algorithm>
#include <utility>

#include "coordinator/core/cache.hpp"
#include "coordinator/core/handlers.hpp"
#include "coordinator/core/machine.hpp"
#include "coordinator/core/run_ahead.hpp"
#include "sweeps/search/verdicts.hpp"

namespace fathom::core {
namespace {

// The item was applied: the same sequence again changes nothing.
void count_item(Job& job, const event::Fence& fence) {
  if (fence.sequence() != 0) job.sequence = fence.sequence();
}

// A job keeps at most three checkpoints and `keep.latest`; equal files of several jobs are one artifact, so uses are
// counted.
void keep_checkpoint(State& state, KeptCheckpoint& slot, const KeptCheckpoint& checkpoint) {
  if (checkpoint) ++state.checkpoint_uses[checkpoint->sha256];
  if (slot) let_go(state, *slot);
  slot = checkpoint;
}

// The older one becomes the first of those before it, of which so many stay.
void keep_earlier(State& state, Checkpoints& kept, std::size_t count) {
  if (count > 0 && kept.older) {
    ++state.checkpoint_uses[kept.older->sha256];
    kept.earlier.insert(kept.earlier.begin(), kept.older);
  }
  for (; kept.earlier.size() > count; kept.earlier.pop_back()) let_go(state, *kept.earlier.back());
}

// The watchdog's strikes count in a row: this device can finish a job.
void forget_strikes(State& state, const Job& job) {
  const auto lease = state.leases.find(job.lease);
  if (lease == state.leases.end()) return;
  Worker& worker = *state.worker(lease->second.worker);
  for (const std::uint32_t place : lease->second.devices) worker.devices[place].strikes = 0;
}

// The value at a rung is that of the first report at or after it (rule 7); one report may cross several.
void cross_rungs(State& state, const Sweep& sweep, Job& job, const event::ReportRecorded& report) {
  if (!is_grouped(sweep, job)) return;
  const StopGroup& group = sweep.groups[sweep.group_of[job.index]];
  const std::uint64_t reached = group.stopper.rule().by_step ? report.step() : report.epoch();
  const auto& rungs = group.stopper.rungs(sweep.setting_of[job.index]);
  std::vector<double>& values = job.progress.edit().rung_values;
  while (values.size() < rungs.size() && rungs[values.size()] <= reached) values.push_back(report.objective());
  mark_setting(state, sweep, group, sweep.setting_of[job.index]);
}

}  // namespace

Outcome seen(const Job& job) { return {job.progress->best, job.progress->best_epoch, false, {}}; }

void let_go(State& state, const SmallCheckpoint& checkpoint) {
  const auto uses = state.checkpoint_uses.find(checkpoint.sha256);
  if (--uses->second == 0) state.checkpoint_uses.erase(uses);
}

std::vector<File> files_of(const google::protobuf::RepeatedPtrField<event::File>& files) {
  std::vector<File> out;
  for (const event::File& file : files) out.push_back({file.path(), file.sha256(), file.size()});
  return out;
}

Result<Job*> attempt_of(State& state, const event::Fence& fence) {
  Job* job = state.job(JobNumber(fence.job()));
  if (job == nullptr) return Error{Errc::not_found, "there is no job " + std::to_string(fence.job())};
  if (fence.generation() != job->generation || fence.attempt() != job->attempt || fence.lease() != job->lease.value()) {
    return Error{Errc::failed_precondition, "job " + std::to_string(fence.job()) + " is at attempt " +
                                                std::to_string(job->attempt) + ", not " +
                                                std::to_string(fence.attempt())};
  }
  return job;
}

Status on(State& state, const event::JobStarted& event, At at) {
  FATHOM_ASSIGN(Job * job, attempt_of(state, event.fence()));
  FATHOM_TRY(move_job(state, *job, Move::start));
  count_item(*job, event.fence());
  Progress& progress = job->progress.edit();
  progress.epoch = event.resumed_epoch();  // what is not in the checkpoint is done again
  progress.started_ms = at.wall_ms;
  bind(state, *job, event.base_sha256(), event.data_sha256());
  return success();
}

Status on(State& state, const event::ReportRecorded& event, At) {
  FATHOM_ASSIGN(Job * job, attempt_of(state, event.fence()));
  FATHOM_TRY(move_job(state, *job, Move::report));
  count_item(*job, event.fence());
  const Sweep& sweep = *state.sweep(job->sweep);
  Progress& progress = job->progress.edit();
  progress.epoch = event.epoch();
  progress.step = event.step();
  progress.objective = event.objective();
  if (!progress.best || sweeps::better(sweep.plan->goal, event.objective(), *progress.best)) {
    progress.best = event.objective();  // the earlier epoch on a tie (rule 8)
    progress.best_epoch = event.epoch();
  }
  cross_rungs(state, sweep, *job, event);
  return success();
}

Status on(State& state, const event::CheckpointCommitted& event, At) {
  FATHOM_ASSIGN(Job * job, attempt_of(state, event.fence()));
  FATHOM_TRY(move_job(state, *job, Move::report));
  count_item(*job, event.fence());
  const event::File& file = event.file();
  const KeptCheckpoint checkpoint = state.kept(
      {event.epoch(), event.step(), {file.path(), file.sha256(), file.size()}, event.objective(), event.best()});
  Checkpoints& kept = job->progress.edit().checkpoints.edit();
  keep_earlier(state, kept, event.keeps_earlier());
  keep_checkpoint(state, kept.older, event.keeps_older() ? kept.latest : nullptr);
  keep_checkpoint(state, kept.latest, checkpoint);
  if (checkpoint->best) keep_checkpoint(state, kept.best, checkpoint);
  job->losses = 0;  // progress that the next attempt keeps
  return success();
}

// As if an attempt of its own had left it.
Status on(State& state, const event::CheckpointTaken& event, At) {
  Job* job = state.job(JobNumber(event.job()));
  if (job == nullptr || state.job(JobNumber(event.source())) == nullptr)
    return Error{Errc::not_found, "there is no job " + std::to_string(event.job())};
  if (phase_of(*job) != Phase::ready || job->progress->checkpoints->latest)
    return Error{Errc::failed_precondition, "job " + std::to_string(event.job()) + " goes on from somewhere already"};
  const event::File& file = event.file();
  Progress& progress = job->progress.edit();
  keep_checkpoint(
      state, progress.checkpoints.edit().latest,
      state.kept({event.epoch(), event.step(), {file.path(), file.sha256(), file.size()}, event.objective(), false}));
  if (event.has_objective()) progress.best = event.objective();
  progress.best_epoch = event.best_epoch();
  return success();
}

Status on(State& state, const event::JobFinished& event, At at) {
  FATHOM_ASSIGN(Job * job, attempt_of(state, event.fence()));
  // has_objective tells 0 from none.
  Outcome outcome{{}, event.epoch(), event.files_size() != 0, files_of(event.files())};
  if (event.has_objective()) outcome.objective = event.objective();
  forget_strikes(state, *job);
  count_time(*state.sweep(job->sweep), *job, at.wall_ms);
  const ResultMark mark{event.key(), tree_hash(*outcome.files), at.seq, static_cast<std::uint32_t>(at.wall_ms / 1000),
                        0};
  FATHOM_TRY(move_job(state, *job, Move::finish, {.outcome = std::move(outcome), .mark = mark}));
  count_item(*job, event.fence());
  return success();
}

Status on(State& state, const event::JobFailed& event, At) {
  FATHOM_ASSIGN(Job * job, attempt_of(state, event.fence()));
  const Move move = event.error_class() == "diverged" ? Move::diverge : Move::fail;
  FATHOM_TRY(move_job(state, *job, move,
                      {.error_class = event.error_class(), .text = event.message(), .outcome = seen(*job)}));
  count_item(*job, event.fence());
  ++job->failures;  // for people; nothing follows any more
  return success();
}

Status on(State& state, const event::JobBackedOff& event, At) {
  FATHOM_ASSIGN(Job * job, attempt_of(state, event.fence()));
  FATHOM_TRY(move_job(state, *job, Move::back_off,
                      {.text = event.error_class() + ": " + event.message(),
                       .until_wall_ms = event.until_wall_ms(),
                       .delay_ms = event.delay_ms()}));
  count_item(*job, event.fence());
  if (event.counted()) ++job->failures;
  // Not queued before its wait is over, so the queue is chosen with this.
  if (event.suspect()) job->suspect = true;
  return success();
}

Status on(State& state, const event::JobStopped& event, At at) {
  FATHOM_ASSIGN(Job * job, attempt_of(state, event.fence()));
  count_time(*state.sweep(job->sweep), *job, at.wall_ms);
  Outcome outcome{{}, event.best_epoch(), event.files_size() != 0, files_of(event.files())};
  if (event.has_objective()) outcome.objective = event.objective();
  FATHOM_TRY(move_job(state, *job, Move::stop, {.outcome = std::move(outcome)}));
  count_item(*job, event.fence());
  return success();
}

Status on(State& state, const event::LateItem& event, At) {
  const event::Fence& fence = event.fence();
  Job* job = state.job(JobNumber(fence.job()));
  if (job == nullptr) return Error{Errc::not_found, "there is no job " + std::to_string(fence.job())};
  const auto lease = state.leases.find(LeaseId(fence.lease()));
  const bool living = lease != state.leases.end() && attempt_of(state, fence).ok();
  if (living && lease->second.worker.value() == event.worker()) {
    job->sequence = fence.sequence();  // of the living attempt, but not possible in its state: passed over
    return success();
  }
  std::vector<LateMark>& late = job->progress.edit().late.edit();
  for (LateMark& mark : late) {
    if (mark.generation != fence.generation() || mark.attempt != fence.attempt()) continue;
    mark.sequence = fence.sequence();
    return success();
  }
  late.push_back({fence.generation(), fence.attempt(), fence.sequence()});
  return success();
}

}  // namespace fathom::core
