#include "coordinator/core/machine.hpp"

#include <algorithm>
#include <stdexcept>

#include "coordinator/core/cache.hpp"

namespace fathom::core {

namespace {

// Why a stop was wished, kept in the state it leads to.
SmallText wish_text(const JobState& state) {
  if (const auto* stopping = std::get_if<Stopping>(&state)) return stopping->text;
  if (const auto* limiting = std::get_if<Limiting>(&state)) return limiting->text;
  if (const auto* cancelling = std::get_if<Cancelling>(&state)) return cancelling->cause;
  return {};
}

// The state of phase `to` with its data. A job that ends under a wish ends for that reason, not for how it ended.
JobState make_state(Phase to, const Job& job, Arrival& in) {
  const SmallText wish = wish_text(job.state);  // read before the state is replaced
  const auto reason = [&] { return wish.empty() ? std::move(in.text) : wish; };
  switch (to) {
    case Phase::blocked:
      return Blocked{in.open, std::move(in.text)};
    case Phase::ready:
      return Ready{};
    case Phase::leased:
      return Leased{in.lease};
    case Phase::running:
      return Running{job.lease};
    case Phase::stopping:
      return Stopping{job.lease, std::move(in.text)};
    case Phase::limiting:
      return Limiting{job.lease, std::move(in.text)};
    case Phase::cancelling:
      return Cancelling{job.lease, std::move(in.text)};
    case Phase::backoff:
      return Backoff{in.until_wall_ms, in.delay_ms, std::move(in.text)};
    case Phase::succeeded:
      return Succeeded{std::move(in.outcome), in.mark};
    case Phase::failed:
      if (phase_of(job) == Phase::limiting) return Failed{"job_wall", wish};
      return Failed{std::move(in.error_class), std::move(in.text)};
    case Phase::diverged:
      return Diverged{std::move(in.text)};
    case Phase::stopped:
      return Stopped{std::move(in.outcome), reason()};
    case Phase::cancelled:
      return Cancelled{reason()};
    case Phase::skipped:
      return Skipped{std::move(in.text)};
    case Phase::paused:
      return Paused{};
    case Phase::pausing:
      return Pausing{job.lease, std::move(in.text)};
  }
  throw std::logic_error("a job has no such phase");
}

// Files are kept for dependents only: nobody else asks the core for them.
void drop_unneeded_files(Job& job) {
  if (job.open_dependents != 0) return;
  auto* done = std::get_if<Succeeded>(&job.state);
  auto* stopped = std::get_if<Stopped>(&job.state);
  if (done != nullptr && done->outcome->files) done->outcome.edit().files.reset();
  if (stopped != nullptr && stopped->outcome->files) stopped->outcome.edit().files.reset();
}

// Jobs that wait for this one have one less to wait for.
void tell_dependents(State& state, Sweep& sweep, const Job& job) {
  const Dependents& all = sweep.dependents;
  if (all.first.empty()) return;
  for (std::uint32_t i = all.first[job.index]; i < all.first[job.index + 1]; ++i) {
    Job& dependent = sweep.jobs[all.edges[i].job];
    auto* blocked = std::get_if<Blocked>(&dependent.state);
    if (blocked != nullptr && --blocked->open == 0) mark_needs(state, dependent);
  }
}

// It takes no input any more, in no generation: inputs that nobody else may take forget their files. As they were
// counted: of a fusion whose set was chosen, also those that it might have had.
void let_inputs_go(State& state, Sweep& sweep, const Job& job) {
  for (const JobNumber number : job.inputs) {
    Job& input = *state.job(number);
    if (input.sweep != job.sweep) let_input_go(input);
  }
  for (const sweeps::Need& need : sweep.plan->jobs[job.index].needs) {
    for (const sweeps::Contender& contender : need.contenders) {
      for (const sweeps::JobIndex index : contender.jobs) {
        let_input_go(sweep.jobs[index]);
      }
    }
  }
}

// Out of the queues of the old state; a lease ends where the states that hold one are left.
void leave(State& state, Sweep& sweep, Job& job, Phase from, Phase to) {
  if (from == Phase::ready) take_out(state, sweep, job);
  if (from == Phase::blocked) {
    state.pending.resolve.erase(job.number), state.pending.fetch.erase(job.number);
    if (to != Phase::blocked) forget_outside(state, job);
  }
  if (is_active(from) && !is_active(to)) {
    end_lease(state, job.lease);
    job.handing_back = false;
    sweep.active.erase(job.index);
    stop_training(state, sweep, job);
  }
}

// Into the queues of the new one, and what its end means to others.
void enter(State& state, Sweep& sweep, Job& job, Phase from, Phase to) {
  if (to == Phase::ready) {
    if (sweep.ready.empty() && sweep.ready_alone.empty()) sweep.passed_from = state.grants;  // nobody kept it waiting
    put_in(state, sweep, job);
  }
  if (!next(to, Move::wish_stop)) state.pending.stop.erase(job.number);
  mark_pause(state, sweep, job);
  if (to != Phase::leased && to != Phase::running) state.pending.withdraw.erase(job.number);  // it ends anyway
  if (is_active(to) && !is_active(from)) {
    sweep.active.insert(job.index);
    begin_training(state, sweep, job);
  }
  if (to == Phase::blocked && from != Phase::blocked) watch_outside(state, job);
  if (!is_terminal(to)) {
    if (sweep.finishing && is_waiting(to)) mark_sweep(state, sweep);
    return;
  }
  if (to == Phase::succeeded) {
    know_result(state, job);
    withdraw_makers(state, job);
  }
  end_in_group(state, sweep, job);
  drop_unneeded_files(job);
  tell_dependents(state, sweep, job);
  tell_outside(state, sweep);
  if (!may_reopen(to)) let_inputs_go(state, sweep, job);
  mark_sweep(state, sweep);
}

}  // namespace

void keep_input(Job& input, std::vector<File> files) {
  ++input.open_dependents;
  if (auto* done = std::get_if<Succeeded>(&input.state)) done->outcome.edit().files = std::move(files);
}

void let_input_go(Job& input) {
  --input.open_dependents;
  drop_unneeded_files(input);
}

Status move_job(State& state, Job& job, Move move, Arrival arrival) {
  const Phase from = phase_of(job);
  const std::optional<Phase> to = next(from, move);
  if (!to) {
    return Error{Errc::failed_precondition, "job " + std::to_string(job.number.value()) + " is " + name_of(from) +
                                                ": no move \"" + name_of(move) + "\" from there"};
  }
  if (*to == from && move != Move::miss) return success();  // progress: nothing that an index knows
  // From here on nothing can fail: counters, queues and state change together.
  Sweep& sweep = *state.sweep(job.sweep);
  Counts& stage = sweep.stage_counts[sweep.plan->jobs[job.index].stage];
  --sweep.counts[static_cast<std::size_t>(from)], --stage[static_cast<std::size_t>(from)];
  ++sweep.counts[static_cast<std::size_t>(*to)], ++stage[static_cast<std::size_t>(*to)];
  leave(state, sweep, job, from, *to);
  job.state = make_state(*to, job, arrival);
  enter(state, sweep, job, from, *to);
  if (from == Phase::ready || is_active(from) || *to == Phase::ready) settle_binding(state, sweep, job);
  if (is_active(from) != is_active(*to)) tell_twins(state, job);
  return success();
}

std::size_t ended_jobs(const Sweep& sweep) {
  std::size_t ended = 0;
  for (auto i = static_cast<std::size_t>(Phase::succeeded); i <= static_cast<std::size_t>(Phase::skipped); ++i)
    ended += sweep.counts[i];
  return ended;
}

// O(1): from the counters, after each end of a job, and of what finishes also after each return to waiting.
void mark_sweep(State& state, const Sweep& sweep) {
  const auto count = [&](Phase phase) { return sweep.counts[static_cast<std::size_t>(phase)]; };
  // Diverged jobs are what a search over learning rates expects; they do not count toward the limit.
  const std::uint32_t limit = sweep.limits.failed;
  const bool too_many = limit != 0 && count(Phase::failed) > limit && !sweep.cancel_cause;
  const bool over = ended_jobs(sweep) == sweep.plan->jobs.size();
  const bool back = sweep.finishing &&
                    count(Phase::blocked) + count(Phase::ready) + count(Phase::backoff) + count(Phase::paused) != 0;
  if (sweep.outcome.empty() && (over || too_many || back)) {
    state.pending.check.insert(sweep.number);
  } else {
    state.pending.check.erase(sweep.number);
  }
}

std::uint32_t open_inputs(const State& state, const Job& job) {
  const Sweep& sweep = *state.sweep(job.sweep);
  std::uint32_t open = 0;
  for (const sweeps::Need& need : sweep.plan->jobs[job.index].needs) {
    for (const sweeps::Contender& contender : need.contenders) {
      for (const sweeps::JobIndex index : contender.jobs) open += is_terminal(phase_of(sweep.jobs[index])) ? 0 : 1;
    }
  }
  return open;
}

bool may_start(const Sweep& sweep) {
  const std::uint32_t limit = sweep.limits.concurrency;
  return !sweep.paused_ms && (limit == 0 || sweep.active.size() < limit);
}

bool runs_alone(const State& state, const Job& job) {
  return job.suspect || state.planned(job).kind == sweeps::Kind::benchmark || ranks_of(state, job) > 1;
}

std::uint32_t ranks_of(const State& state, const Job& job) {
  const sweeps::Kind kind = state.planned(job).kind;
  const bool trains = kind == sweeps::Kind::adapter || kind == sweeps::Kind::fusion || kind == sweeps::Kind::finetune;
  return trains ? state.sweep(job.sweep)->plan->ranks : 1;
}

}  // namespace fathom::core
