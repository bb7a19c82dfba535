// Inputs from other sweeps, once their files were read.
#include <algorithm>
#include <set>

#include "coordinator/core/deciders.hpp"
#include "coordinator/core/needs.hpp"

namespace fathom::core {
namespace {

// What was read for `job` of `source`; nullptr: nothing was.
const ResultRead* read_of(const ResultsRead& command, JobNumber job, JobNumber source) {
  const auto found = std::ranges::find_if(
      command.results, [&](const ResultRead& read) { return read.job == job && read.source == source; });
  return found == command.results.end() ? nullptr : &*found;
}

event::Event cannot(const Job& job, const sweeps::Need& need, const std::string& why) {
  event::Event event;
  const std::string text = "'" + need.name + "': the files of the adapter that was chosen are not known: " + why;
  if (need.on_missing == sweeps::OnMissing::wait) {
    event.mutable_needs_missing()->set_job(job.number.value());
    event.mutable_needs_missing()->set_why(text);
  } else {
    event.mutable_job_skipped()->set_job(job.number.value());
    event.mutable_job_skipped()->set_why(text);
    event.mutable_job_skipped()->set_fail(need.on_missing == sweeps::OnMissing::fail);
  }
  return event;
}

// Nothing: meanwhile others are chosen, and are read next.
std::optional<event::Event> bound(const State& state, const Job& job, const ResultsRead& command) {
  const auto choice = choose(state, job);
  const auto* inputs = std::get_if<std::vector<ChosenInput>>(&choice);
  if (inputs == nullptr) return std::nullopt;
  event::Event event;
  auto* out = event.mutable_needs_bound();
  out->set_job(job.number.value());
  for (std::size_t i = 0; i < inputs->size(); ++i) {
    const ChosenInput& input = (*inputs)[i];
    event::BoundInput* to = out->add_inputs();
    to->set_job(input.job.value());
    to->set_mean(input.mean);
    if (!input.elsewhere) continue;
    const ResultMark& mark = *std::get<Succeeded>(state.job(input.job)->state).mark;
    const ResultRead* read = read_of(command, job.number, mark.source == 0 ? input.job : JobNumber(mark.source));
    if (read == nullptr) return std::nullopt;
    if (!read->problem.empty()) return cannot(job, state.planned(job).needs[i], read->problem);
    for (const File& file : read->files) {
      event::File* one = to->add_files();
      one->set_path(file.path), one->set_sha256(file.sha256), one->set_size(file.size);
    }
  }
  return event;
}

}  // namespace

void bind_needs(const Context& context, const ResultsRead& command, Decision& decision) {
  std::set<JobNumber> done;
  for (const ResultRead& read : command.results) {
    const Job* job = context.state.job(read.job);
    if (job == nullptr || !context.state.pending.fetch.contains(read.job) || !done.insert(read.job).second) continue;
    if (auto event = bound(context.state, *job, command)) decision.events.push_back(*std::move(event));
  }
}

}  // namespace fathom::core
