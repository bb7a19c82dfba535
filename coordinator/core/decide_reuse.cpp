// Results that were read for jobs that take them.
#include "coordinator/core/cache.hpp"
#include "coordinator/core/deciders.hpp"

namespace fathom::core {
namespace {

// nullptr: no method judges the job.
const sweeps::Stopper* stopper_of(const State& state, const Job& job) {
  const Sweep& sweep = *state.sweep(job.sweep);
  if (sweep.group_of.empty() || sweep.group_of[job.index] == kNoGroup) return nullptr;
  return &sweep.groups[sweep.group_of[job.index]].stopper;
}

// Values at its rungs mean the same for the job.
bool at_same_rungs(const State& state, const Job& job, const Job& source) {
  const auto* own = stopper_of(state, job);
  const auto* other = stopper_of(state, source);
  if (own == nullptr || other == nullptr || own->rule().by_step != other->rule().by_step) return false;
  return own->rungs(state.sweep(job.sweep)->setting_of[job.index]) ==
         other->rungs(state.sweep(source.sweep)->setting_of[source.index]);
}

event::Event refused(JobNumber job, const std::string& why) {
  event::Event event;
  event.mutable_reuse_refused()->set_job(job.value());
  event.mutable_reuse_refused()->set_why(why);
  return event;
}

// nullptr: it has none that others take.
const KnownResult* result_of(const State& state, sweeps::JobId asked, JobNumber source) {
  const KnownResult* found = nullptr;
  state.results.each(asked, [&](const KnownResult& one) {
    if (one.job == source.value()) found = &one;
  });
  return found;
}

event::Event reused(const State& state, const Job& job, const KnownResult& known, const ResultRead& read) {
  event::Event event;
  auto* out = event.mutable_job_reused();
  out->set_job(job.number.value());
  out->set_source(known.job);
  out->set_source_generation(read.source_generation);
  out->set_source_seq(known.seq);
  out->set_made_ms(read.made_ms);
  out->set_result(read.result);
  for (const File& file : read.files) {
    event::File* to = out->add_files();
    to->set_path(file.path), to->set_sha256(file.sha256), to->set_size(file.size);
  }
  out->set_has_objective(read.objective.has_value());
  out->set_objective(read.objective.value_or(0));
  out->set_epoch(read.epoch);
  out->set_key(known.key);
  // Its sweep may have been put away, and mostly nothing of it is needed.
  if (stopper_of(state, job) == nullptr) return event;
  const Job& source = *state.job(JobNumber(known.job));
  if (at_same_rungs(state, job, source)) {
    for (const double value : source.progress->rung_values) out->add_rung_values(value);
  }
  return event;
}

}  // namespace

ResultRead result_in(const ReadResults::Wanted& wanted, const event::Event* end) {
  ResultRead read;
  read.job = wanted.job, read.source = wanted.source;
  const bool found = end != nullptr && end->has_job_finished() && end->job() == wanted.source.value();
  if (!found) {
    read.problem =
        wanted.seq == 0 ? "it has become too old" : "event " + std::to_string(wanted.seq) + " cannot be read";
    return read;
  }
  const event::JobFinished& finished = end->job_finished();
  read.result = finished.result();
  for (const event::File& file : finished.files()) read.files.push_back({file.path(), file.sha256(), file.size()});
  if (finished.has_objective()) read.objective = finished.objective();
  read.epoch = finished.epoch();
  read.source_generation = finished.fence().generation();
  read.made_ms = end->wall_ms();
  return read;
}

// A job that was cancelled meanwhile, or whose result is taken no more, needs nothing.
Decision decide_reuse(const Context& context, const ResultsRead& command) {
  const State& state = context.state;
  Decision decision;
  bind_needs(context, command, decision);
  for (const ResultRead& read : command.results) {
    const Job* job = state.job(read.job);
    if (job == nullptr || !state.pending.recall.contains(read.job)) continue;
    const KnownResult* known = result_of(state, asked_id(state, *job), read.source);
    if (!read.problem.empty() || known == nullptr || known->key != result_key(state, *job)) {
      decision.events.push_back(refused(read.job, read.problem.empty() ? "the result is another one" : read.problem));
    } else {
      decision.events.push_back(reused(state, *job, *known, read));
    }
  }
  return decision;
}

Decision decide_pin(const Context& context, const PinResult& command) {
  const Job* job = context.state.job(command.job);
  if (job == nullptr) return refuse(Errc::not_found, "there is no such job");
  const auto* done = std::get_if<Succeeded>(&job->state);
  if (done == nullptr || done->mark->key == 0)
    return refuse(Errc::failed_precondition, "only a result that other jobs may take is pinned: the job has none");
  const JobNumber made = done->mark->source == 0 ? job->number : JobNumber(done->mark->source);
  Decision decision;
  if (context.state.pinned.contains(made) == command.pinned) return decision;
  auto* pinned = decision.events.emplace_back().mutable_result_pinned();
  pinned->set_job(made.value());
  pinned->set_pinned(command.pinned);
  return decision;
}

}  // namespace fathom::core
