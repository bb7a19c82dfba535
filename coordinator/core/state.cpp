#include "coordinator/core/state.hpp"

#include <algorithm>

namespace fathom::core {
namespace {

constexpr std::size_t kNames = 4096;

// Numbers are dense and start at 1.
template <class T, class Number>
T* at(std::vector<T>& all, Number number) {
  return number.value() == 0 || number.value() > all.size() ? nullptr : &all[number.value() - 1];
}
template <class T, class Number>
const T* at(const std::vector<T>& all, Number number) {
  return number.value() == 0 || number.value() > all.size() ? nullptr : &all[number.value() - 1];
}

Job* job_in(const SweepTable& sweeps, JobNumber number) {
  Sweep* sweep = sweeps.of(number);
  if (sweep == nullptr) return nullptr;
  const std::uint64_t index = number.value() - sweep->first.value();
  return index < sweep->jobs.size() ? &sweep->jobs[index] : nullptr;  // of a new one not all are there yet
}

}  // namespace

const char* name_of(WorkerState state) {
  switch (state) {
    case WorkerState::ready:
      return "ready";
    case WorkerState::draining:
      return "draining";
    case WorkerState::gone:
      break;
  }
  return "gone";
}

SmallText State::common(const std::string& name) {
  const auto known = names.find(name);
  if (known != names.end()) return *known;
  return names.size() < kNames ? *names.emplace(name).first : SmallText(name);
}

KeptCheckpoint State::kept(const Checkpoint& checkpoint) {
  const File& file = checkpoint.file;
  const auto known = checkpoint_uses.find(file.sha256);
  return std::make_shared<const SmallCheckpoint>(SmallCheckpoint{
      checkpoint.step, file.size, checkpoint.objective, common(file.path),
      known == checkpoint_uses.end() ? SmallText(file.sha256) : known->first, checkpoint.epoch, checkpoint.best});
}

JobIndexes::JobIndexes(const sweeps::Plan& plan) {
  sorted_.reserve(plan.jobs.size());
  for (const sweeps::Job& job : plan.jobs) sorted_.emplace_back(job.id, static_cast<sweeps::JobIndex>(sorted_.size()));
  std::ranges::sort(sorted_);
}

std::optional<sweeps::JobIndex> JobIndexes::find(sweeps::JobId id) const {
  const auto found = std::ranges::lower_bound(sorted_, id, {}, [](const auto& one) { return one.first; });
  return found != sorted_.end() && found->first == id ? std::optional(found->second) : std::nullopt;
}

const Job* State::job(JobNumber number) const { return job_in(sweeps, number); }
Job* State::job(JobNumber number) { return job_in(sweeps, number); }
const Sweep* State::sweep(SweepNumber number) const { return sweeps.find(number); }
Sweep* State::sweep(SweepNumber number) { return sweeps.find(number); }
const Worker* State::worker(WorkerNumber number) const { return at(workers, number); }
Worker* State::worker(WorkerNumber number) { return at(workers, number); }

const Sweep* State::find_sweep(const std::string& id) const {
  const auto found = sweep_by_id.find(id);
  return found == sweep_by_id.end() ? nullptr : sweep(found->second);
}

const Job* State::find_job(const Sweep& in, const std::string& id) const {
  const auto asked = sweeps::JobId::from(id);
  return asked ? find_job(in, *asked) : nullptr;
}

const Job* State::find_job(const Sweep& in, sweeps::JobId id) const {
  const auto found = in.by_id.find(id);
  return found ? &in.jobs[*found] : nullptr;
}

// The reference stays good as that to the sweep does; of a job whose point is not drawn yet until it is, and of a
// member of a population until it is cloned.
const sweeps::Job& State::planned(const Job& job) const {
  const Sweep& of = *sweep(job.sweep);
  const auto found = of.drawn.find(job.index);
  return found == of.drawn.end() ? of.plan->jobs[job.index] : found->second.job;
}

}  // namespace fathom::core
