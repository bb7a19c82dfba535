// Why a job is where it is, in words: what a person needs to know to do something about it.
#include <cctype>
#include <string>

#include "coordinator/core/alone.hpp"
#include "coordinator/core/cache.hpp"
#include "coordinator/core/inspect.hpp"
#include "coordinator/core/machine.hpp"
#include "coordinator/core/needs.hpp"
#include "coordinator/core/populations.hpp"
#include "coordinator/core/run_ahead.hpp"
#include "coordinator/core/searches.hpp"

namespace fathom::core {
namespace {

std::string plural(std::size_t count, const std::string& one) {
  return std::to_string(count) + " " + one + (count == 1 ? "" : "s");
}

// Where the newest attempt was put.
std::string place_of(const State& state, const Job& job) {
  const Worker* worker = state.worker(job.worker);
  return job.progress->device.str() + " of worker " + (worker == nullptr ? "?" : worker->name);
}

// The first need that still has open jobs, with its count and one of them.
std::string explain_blocked(const State& state, const Job& job, const Blocked& blocked) {
  if (!blocked.missing.empty()) return blocked.missing.str() + ". It waits (on_missing: wait) until it is cancelled.";
  const Sweep& sweep = *state.sweep(job.sweep);
  for (const sweeps::Need& need : state.planned(job).needs) {
    std::size_t open = 0;
    const Job* first = nullptr;
    for (const sweeps::Contender& contender : need.contenders) {
      for (const sweeps::JobIndex index : contender.jobs) {
        const Job* input = state.job(JobNumber(sweep.first.value() + index));
        if (is_terminal(phase_of(*input))) continue;
        ++open;
        if (first == nullptr) first = input;
      }
    }
    if (first == nullptr) continue;
    if (need.name.starts_with("choice ")) {
      return "Its set is chosen by results: adapter " + need.name.substr(7) + " by " + plural(open, "fusion") +
             " on a budget that " + (open == 1 ? "has" : "have") + " not ended, the first is " +
             state.planned(*first).id.text() + " (" + name_of(phase_of(*first)) + ").";
    }
    return "It needs the model \"" + need.name + "\": " + plural(open, "job") + " it is chosen from " +
           (open == 1 ? "has" : "have") + " not ended, the first is " + state.planned(*first).id.text() + " (" +
           name_of(phase_of(*first)) + ").";
  }
  const auto choice = choose(state, job);
  if (const auto* lacking = std::get_if<Lacking>(&choice); lacking != nullptr && !lacking->need->elsewhere.empty())
    return "It needs the model \"" + lacking->need->name + "\": " + lacking->why + ". It waits (on_missing: wait).";
  return "Its inputs are about to be chosen.";
}

std::string no_device_for(sweeps::Precision precision) {
  const bool bf16 = precision == sweeps::Precision::bf16;
  return "precision: " + std::string(bf16 ? "bf16" : "tf32") +
         ": no worker that is connected has a device for it, which is a GPU" +
         (bf16 ? " or a CPU with avx512_bf16." : ".");
}

// There are devices, and none computes what the sweep asks for.
bool lacks_precision(const State& state, const Sweep& sweep) {
  bool any = false;
  for (const Worker& worker : state.workers) {
    if (worker.state != WorkerState::ready) continue;
    for (const DeviceState& device : worker.devices) {
      if (computes(sweep, device)) return false;
      any = true;
    }
  }
  return any;
}

// Slots are shared by all sweeps: the answer is the same for every job of one precision that could run.
std::string explain_no_slot(const State& state, const Sweep& sweep) {
  std::size_t here = 0, slots = 0, used = 0, excluded = 0;
  const Worker* unfit = nullptr;
  for (const Worker& worker : state.workers) {
    if (!worker.unfit.empty()) unfit = &worker;
    if (worker.state != WorkerState::ready) continue;
    ++here;
    for (const DeviceState& device : worker.devices) {
      if (!computes(sweep, device)) continue;
      if (device.excluded) ++excluded;
      if (!device.excluded) slots += device.device.slots, used += device.running;
    }
  }
  if (here == 0 && unfit != nullptr) return "Worker " + unfit->name + " takes no jobs for now: " + unfit->unfit + ".";
  if (slots == 0 && excluded != 0) {
    return plural(excluded, "device") + (excluded == 1 ? " is" : " are") +
           " excluded, since trainers made no progress there: start the worker again to try once more.";
  }
  if (here == 0) {
    return state.workers.empty() ? "No worker has joined: start fathom-worker."
                                 : "No worker is connected: start fathom-worker, or wait until it is back.";
  }
  return used >= slots ? "All " + plural(slots, "slot") + " are taken."
                       : "The free slots are kept for a job that has to run alone on its device or host.";
}

// It stands aside for a result that another job has or makes.
std::string explain_aside(const State& state, const Job& job) {
  if (state.pending.recall.contains(job.number)) return "Its result is known and is being read.";
  if (result_key(state, job) == 0)
    return "A job that was asked for the same may have its result: known when a job of its task has started and said "
           "which model and data there are.";
  return "A job of another sweep that was asked for the same is running: its result will be taken.";
}

// What a benchmark waits for.
std::string explain_measured(const State& state, const Job& job) {
  const Sweep& sweep = *state.sweep(job.sweep);
  const std::string kind = measured_on(state.planned(job));
  const Alone places = places_alone(state, sweep, job.index);
  if (places.on.empty()) return "stages.NAME.device: no worker that is connected has a device of class " + kind + ".";
  const std::string worker = "worker " + state.worker(places.on.front().worker)->name;
  return kind == "cpu" ? "It is measured alone on its host and waits until all devices of " + worker + " are empty."
                       : "It is measured alone on its device and waits until one of class " + kind + " of " + worker +
                             " is empty.";
}

// The narrowest reason first: the sweep's own limit, then what the job itself asks for, then slots.
std::string explain_slot(const State& state, const Job& job) {
  const Sweep& sweep = *state.sweep(job.sweep);
  const std::uint32_t limit = sweep.limits.concurrency;
  // Its place in the sweep's own queue; other sweeps come in between by priority and share.
  const std::string queue = [&] {
    const auto& line = runs_alone(state, job) ? sweep.ready_alone : sweep.ready;
    const auto before = std::distance(line.begin(), line.lower_bound(job.index));
    return before == 0 ? std::string(" It is the next of its sweep.")
                       : " " + plural(static_cast<std::size_t>(before), "job") + " of its sweep go first.";
  }();
  if (sweep.paused_ms) return "Its sweep is paused: 'fathom resume " + sweep.id + "' lets it go on." + queue;
  if (limit != 0 && sweep.active.size() >= limit) {
    return "limits.concurrency: " + plural(limit, "job") + " of its sweep may run at once." + queue;
  }
  if (lacks_precision(state, sweep)) return no_device_for(sweep.plan->precision) + queue;
  if (const std::uint32_t ranks = ranks_of(state, job); ranks > 1) {
    const std::string devices = std::to_string(ranks) + " devices of one kind on one worker";
    if (gang_places(state, sweep, ranks).empty()) {
      return "resources.ranks: it needs " + devices + ", and no worker that is connected has so many." + queue;
    }
    return "resources.ranks: it waits until " + devices + " are empty." + queue;
  }
  if (!measured_on(state.planned(job)).empty()) return explain_measured(state, job) + queue;
  if (runs_alone(state, job)) {
    return "It has to run alone and waits until a device is empty" +
           std::string(job.suspect ? " (it was in a trainer that crashed)." : ".") + queue;
  }
  return explain_no_slot(state, sweep) + queue;
}

std::string explain_ready(const State& state, const Job& job) {
  const Sweep& sweep = *state.sweep(job.sweep);
  if (sweep.aside.contains(job.index)) return explain_aside(state, job);
  if (awaits_point(sweep, job.index))
    return "Its parameters are drawn when it gets a slot. " + explain_slot(state, job);
  return explain_slot(state, job);
}

std::string explain_paused(const State& state, const Job& job) {
  const Sweep& sweep = *state.sweep(job.sweep);
  const StopGroup& group = sweep.groups[sweep.group_of[job.index]];
  const sweeps::JobIndex first = sweep.setting_of[job.index];
  const Setting& setting = group.settings.at(first);
  if (!setting.waiting && group.stopper.clones())
    return "Paused: members of its population that have come less far wait for a slot and go first.";
  if (!setting.waiting) return "Paused until all seeds of its setting have come as far.";
  std::string text = sweeps::describe_rest(group.stopper, first, setting.judged - 1);
  text[0] = static_cast<char>(std::toupper(text[0]));
  return text + ".";
}

struct Explain {
  const State& state;
  const Job& job;

  std::string operator()(const Blocked& s) const { return explain_blocked(state, job, s); }
  std::string operator()(const Ready&) const { return explain_ready(state, job); }
  std::string operator()(const Leased&) const {
    return "Given to " + place_of(state, job) +
           (waits_ahead(state, job) ? ", where it waits for one of the jobs that run there to end."
                                    : ", which has not started it yet.");
  }
  std::string operator()(const Running&) const { return "Running on " + place_of(state, job) + "."; }
  std::string operator()(const Stopping& s) const {
    return "Asked to stop (" + s.text.str() + "); waiting for its worker.";
  }
  std::string operator()(const Limiting& s) const {
    return "Asked to stop (" + s.text.str() + "); waiting for its worker.";
  }
  std::string operator()(const Cancelling& s) const {
    return "Asked to stop (" + s.cause.str() + "); waiting for its worker.";
  }
  std::string operator()(const Backoff& s) const {
    return "Attempt " + std::to_string(job.attempt) + " ended (" + s.why.str() + "); the next one follows after " +
           std::to_string((s.delay_ms + 999) / 1000) + " s.";
  }
  std::string operator()(const Succeeded& s) const {
    if (s.mark->source == 0) return "Succeeded.";
    const Job& source = *state.job(JobNumber(s.mark->source));
    return "Succeeded with the result of job " + state.planned(source).id.text() + " of sweep " +
           state.sweep(source.sweep)->id + ".";
  }
  std::string operator()(const Failed& s) const { return "Failed (" + s.error_class.str() + "): " + s.message.str(); }
  std::string operator()(const Diverged& s) const { return "Diverged: " + s.message.str(); }
  std::string operator()(const Stopped& s) const { return "Stopped early: " + s.text.str() + "."; }
  std::string operator()(const Cancelled& s) const { return "Cancelled: " + s.cause.str() + "."; }
  std::string operator()(const Skipped& s) const { return "Skipped: " + s.why.str() + "."; }
  std::string operator()(const Paused&) const { return explain_paused(state, job); }
  std::string operator()(const Pausing& s) const {
    return "Asked to pause (" + s.text.str() + "); waiting for its worker.";
  }
};

constexpr std::size_t kNamed = 3;  // of the jobs that a need lacks

// How the jobs ended of which a need could take none: the first that did not end well of each setting.
std::string name_lacking(const State& state, const Sweep& sweep, const sweeps::Need& need) {
  std::string text;
  std::size_t named = 0, more = 0;
  for (const sweeps::Contender& contender : need.contenders) {
    for (const sweeps::JobIndex index : contender.jobs) {
      const Job& input = *state.job(JobNumber(sweep.first.value() + index));
      const auto outcome = result_of(input).outcome;
      if (outcome == sweeps::Outcome::succeeded) continue;
      if (outcome == sweeps::Outcome::stopped && need.accept_stopped) continue;
      if (++named > kNamed)
        ++more;
      else
        text += " '" + need.name + "' lacks job " + state.planned(input).id.text() + ": " +
                std::visit(Explain{state, input}, input.state);
      break;
    }
  }
  return more == 0 ? text : text + " And " + plural(more, "other setting") + " of '" + need.name + "'.";
}

// Of one that never ran since its inputs are missing: every need that nothing meets.
std::string explain_missing(const State& state, const Job& job) {
  const bool skipped = std::holds_alternative<Skipped>(job.state);
  if (!skipped && !(std::holds_alternative<Failed>(job.state) && job.attempt == 0)) return "";
  const Sweep& sweep = *state.sweep(job.sweep);
  std::string text;
  for (const sweeps::Need& need : state.planned(job).needs) {
    const auto choice = sweeps::select(
        need, [&](sweeps::JobIndex index) { return result_of(*state.job(JobNumber(sweep.first.value() + index))); });
    if (need.elsewhere.empty() && std::holds_alternative<sweeps::Missing>(choice))
      text += name_lacking(state, sweep, need);
  }
  return text;
}

}  // namespace

std::string explain(const State& state, const Job& job) {
  std::string text = std::visit(Explain{state, job}, job.state) + explain_missing(state, job);
  if (const std::string clone = describe_clone(state, job); !clone.empty()) text += " It was " + clone + ".";
  return text;
}

}  // namespace fathom::core
