// A fingerprint of everything in the state: two logs that differ in their outcome anywhere differ here.
#include <algorithm>
#include <bit>
#include <cstdio>
#include <span>

#include "coordinator/core/inspect.hpp"
#include "coordinator/core/machine.hpp"

namespace fathom::core {
namespace {

// Numbers and texts, one after the other; texts with their length, so that no two sequences look alike.
class Digest {
 public:
  template <class... Values>
  Digest& operator()(const Values&... values) {
    (add(values), ...);
    return *this;
  }
  [[nodiscard]] std::uint64_t value() const { return hash_; }

 private:
  template <class T>
  requires std::is_integral_v<T> || std::is_enum_v<T>
  void add(T value) {
    auto bits = static_cast<std::uint64_t>(value);
    hash_ = hash_of({reinterpret_cast<const char*>(&bits), sizeof bits}, hash_);
  }
  // By bits: -0 and 0, or two NaN, are different states.
  void add(double value) { add(std::bit_cast<std::uint64_t>(value)); }
  void add(std::string_view text) {
    add(text.size());
    hash_ = hash_of(text, hash_);
  }
  void add(const std::string& text) { add(std::string_view(text)); }
  void add(const SmallText& text) { add(text.view()); }
  template <class Tag, class Rep>
  void add(const Id<Tag, Rep>& id) {
    add(id.value());
  }
  void add(const MaybeDouble& value) {
    add(value.has_value());
    if (value) add(*value);
  }
  template <class T>
  void add(const std::optional<T>& value) {
    add(value.has_value());
    if (value) add(*value);
  }
  template <class T>
  void add(const std::vector<T>& all) {
    add(all.size());
    for (const T& one : all) add(one);
  }
  void add(std::span<const sweeps::JobIndex> all) {
    add(all.size());
    for (const sweeps::JobIndex one : all) add(one);
  }
  void add(const JobSet& all) {
    add(all.size());
    for (const sweeps::JobIndex one : all) add(one);
  }
  template <class T>
  void add(const Rare<T>& value) {
    add(*value);
  }
  template <class T>
  void add(const std::set<T>& all) {
    add(all.size());
    for (const T& one : all) add(one);
  }
  template <class A, class B>
  void add(const std::pair<A, B>& both) {
    add(both.first), add(both.second);
  }
  void add(const File& file) { (*this)(file.path, file.sha256, file.size); }
  void add(const SmallCheckpoint& c) { (*this)(c.epoch, c.step, c.path, c.sha256, c.size, c.objective, c.best); }
  void add(const KeptCheckpoint& c) {
    add(c != nullptr);
    if (c) add(*c);
  }
  void add(const Outcome& o) { (*this)(o.objective, o.epoch, o.has_files, o.files); }
  void add(const ResultMark& m) { (*this)(m.key, m.tree, m.seq, m.made_secs, m.source); }
  void add(const LateMark& mark) { (*this)(mark.generation, mark.attempt, mark.sequence); }
  void add(const FreeDevice& device) { (*this)(device.running, device.worker, device.device); }
  void add(const Fence& fence) { (*this)(fence.job, fence.generation, fence.attempt, fence.lease); }

  std::uint64_t hash_ = hash_of("fathom state 2");
};

// A state without data adds nothing: which state it is was added before.
struct AddState {
  Digest& to;
  void operator()(const Blocked& s) const { to(s.open, s.missing); }
  void operator()(const Ready&) const {}
  void operator()(const Leased& s) const { to(s.lease); }
  void operator()(const Running& s) const { to(s.lease); }
  void operator()(const Stopping& s) const { to(s.lease, s.text); }
  void operator()(const Limiting& s) const { to(s.lease, s.text); }
  void operator()(const Cancelling& s) const { to(s.lease, s.cause); }
  void operator()(const Backoff& s) const { to(s.until_wall_ms, s.delay_ms, s.why); }
  void operator()(const Succeeded& s) const { to(s.outcome, s.mark); }
  void operator()(const Failed& s) const { to(s.error_class, s.message); }
  void operator()(const Diverged& s) const { to(s.message); }
  void operator()(const Stopped& s) const { to(s.outcome, s.text); }
  void operator()(const Cancelled& s) const { to(s.cause); }
  void operator()(const Skipped& s) const { to(s.why); }
  void operator()(const Paused&) const {}
  void operator()(const Pausing& s) const { to(s.lease, s.text); }
};

// Every member, so that a new one that is forgotten in evolve() on replay shows; keep it in step with job.hpp.
void add_job(Digest& to, const Job& job) {
  to(job.number, job.sweep, job.index, job.state.index());
  std::visit(AddState{to}, job.state);
  to(job.generation, job.attempt, job.lease, job.sequence, job.failures, job.losses, job.suspect, job.handing_back,
     job.inputs);
  to(job.foreign, job.fresh);
  const Progress& seen = *job.progress;
  const Checkpoints& kept = *seen.checkpoints;
  to(job.open_dependents, seen.epoch, seen.step, seen.objective, seen.best, seen.best_epoch, seen.rung_values);
  to(kept.latest, kept.best, kept.older, seen.late, seen.started_ms, job.worker, seen.device);
  to(kept.earlier.size());
  for (const KeptCheckpoint& one : kept.earlier) to(*one);
}

// The plan counts by the ids of its jobs, which hash all that matters in them.
void add_sweep_to(Digest& to, const Sweep& sweep) {
  for (const Job& job : sweep.jobs) add_job(to, job);
  to(sweep.number, sweep.id, sweep.first, sweep.idempotency_key, sweep.content, sweep.model, sweep.submitted_ms);
  to(sweep.ended_ms, sweep.submitted_seq, sweep.cancel_cause, sweep.cancelled_by_limit, sweep.outcome);
  to(sweep.finishing, sweep.took_us, sweep.priority, sweep.limits.concurrency, sweep.limits.wall_seconds,
     sweep.limits.job_wall_seconds, sweep.limits.failed);
  to(sweep.paused_ms, sweep.wall_from_ms, sweep.weight, sweep.share, sweep.passed_from);
  for (const auto& [key, jobs] : sweep.reopened) to(key, jobs);
  for (const std::uint32_t count : sweep.counts) to(count);
  for (const Counts& counts : sweep.stage_counts) {
    for (const std::uint32_t count : counts) to(count);
  }
  to(sweep.ready, sweep.ready_alone, sweep.aside, sweep.active, sweep.base_sha256);
  for (const auto& [task, binding] : sweep.bindings) to(task, binding.data_sha256, binding.seekers);
  for (const sweeps::Job& job : sweep.plan->jobs) to(job.id.text());
  for (const auto& [index, drawn] : sweep.drawn) to(index, drawn.point);
  for (const StopGroup& group : sweep.groups) {
    for (const sweeps::Stopper::Entry& entry : group.stopper.entries())
      to(entry.job, entry.rung, entry.value, entry.keep_going, entry.held);
    for (const auto& [first, setting] : group.settings)
      to(first, group.jobs_of(setting), setting.judged, setting.stopped, setting.waiting);
  }
}

void add_worker(Digest& to, const Worker& worker) {
  to(worker.number, worker.uid, worker.name, worker.state, worker.unfit, worker.leases);
  for (const DeviceState& device : worker.devices) {
    to(device.device.name, device.device.kind, device.device.threads, device.device.slots, device.device.model,
       device.device.bf16, device.device.ahead);
    to(device.device.memory, device.running, device.alone, device.model, device.task, device.strikes, device.excluded);
  }
}

}  // namespace

std::uint64_t digest_of(const Sweep& sweep) {
  Digest to;
  add_sweep_to(to, sweep);
  return to.value();
}

std::string digest(const State& state) {
  Digest to;
  to(state.seq, state.epoch, state.next_lease, state.open_sweeps, state.grants, state.wall_ms, state.pinned);
  for (const auto& [priority, turn] : state.share_clock) to(priority, turn);
  to(state.sweeps.size(), state.jobs());
  for (std::size_t i = 0; i < state.sweeps.size(); ++i) {
    const auto away = state.sweeps.away(i);
    to(away ? away->digest : digest_of(state.sweeps[i]));
  }
  for (const Worker& worker : state.workers) add_worker(to, worker);
  for (const auto& [id, lease] : state.leases) to(id, lease.fence, lease.worker, lease.devices, lease.alone);
  std::vector<std::pair<std::string, std::uint32_t>> uses;
  for (const auto& [sha256, count] : state.checkpoint_uses) uses.emplace_back(sha256.str(), count);
  std::ranges::sort(uses);  // a hash map has no order of its own
  to(uses, state.free.all, state.next_notice);
  for (const auto& [number, notice] : state.notices)
    to(number, notice.seq, notice.sweep, notice.job, notice.what, notice.hook, notice.wall_ms);
  for (const auto& [key, devices] : state.free.warm) to(key, devices);
  to(state.free.ahead, state.pending.resolve, state.pending.judge, state.pending.overdue, state.pending.stop,
     state.pending.check);
  to(state.pending.pause, state.pending.clone, state.pending.resume);
  to(state.pending.withdraw, state.pending.recall, state.pending.fetch);
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(to.value()));
  return text;
}

}  // namespace fathom::core
