#include "coordinator/core/extend.hpp"

#include <algorithm>
#include <set>

#include "sweeps/extend.hpp"

namespace fathom::core {
namespace {

// The job that was asked for the same over most epochs below the job's own, and has a checkpoint; nullptr: none.
const Job* shorter(const State& state, const Sweep& from, const sweeps::Job& planned) {
  std::set<std::uint32_t, std::greater<>> budgets;
  for (const sweeps::Job& one : from.plan->jobs) {
    if (one.epochs != 0 && one.epochs < planned.epochs && one.kind == planned.kind) budgets.insert(one.epochs);
  }
  for (const std::uint32_t epochs : budgets) {
    const Job* job = state.find_job(from, sweeps::id_with_epochs(planned, epochs));
    const auto* done = job == nullptr ? nullptr : std::get_if<Succeeded>(&job->state);
    if (done == nullptr) continue;
    // One that took its result has none of its own.
    const Job* made = done->mark->source == 0 ? job : state.job(JobNumber(done->mark->source));
    if (made->progress->checkpoints->latest) return made;
  }
  return nullptr;
}

}  // namespace

std::optional<event::Event> take_checkpoint(const State& state, const Sweep& sweep, sweeps::JobIndex index) {
  const Job& job = *state.job(JobNumber(sweep.first.value() + index));
  const sweeps::Job& planned = state.planned(job);
  if (sweep.plan->extends.empty() || planned.epochs == 0 || job.attempt != 0 || job.generation != 1)
    return std::nullopt;
  const Sweep* from = state.find_sweep(sweep.plan->extends);
  if (from == nullptr || job.progress->checkpoints->latest) return std::nullopt;
  const Job* source = shorter(state, *from, planned);
  if (source == nullptr) return std::nullopt;
  const Checkpoint checkpoint = source->progress->checkpoints->latest->whole();
  event::Event event;
  auto* taken = event.mutable_checkpoint_taken();
  taken->set_job(job.number.value());
  taken->set_source(source->number.value());
  taken->set_epoch(checkpoint.epoch);
  taken->set_step(checkpoint.step);
  taken->mutable_file()->set_path(checkpoint.file.path);
  taken->mutable_file()->set_sha256(checkpoint.file.sha256);
  taken->mutable_file()->set_size(checkpoint.file.size);
  taken->set_has_objective(source->progress->best.has_value());
  taken->set_objective(source->progress->best.value_or(0));
  taken->set_best_epoch(source->progress->best_epoch);
  return event;
}

}  // namespace fathom::core
