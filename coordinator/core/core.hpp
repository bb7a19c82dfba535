// The coordinator's core: three pure functions over plain data, two that say what follows by itself, and Core, which
// calls them in the right order. No socket, disk or clock; see docs/lifecycle/README.md.
//
//   decide (state, command) -> events | rejection     nothing is changed
//   evolve (state, event)   -> state                  the only way the state changes; replays the log too
//   effects(state, event)   -> what to send           to be done after the event is durable
//
// Use (on one strand):
//   Core core(options);
//   for each event of the log: core.replay(event);         // an error: refuse to start
//   Step step = core.handle(Start{version}, now);
//   …for each command: step = core.handle(command, now); append step.events to the store; when they, and everything
//   appended before, are durable: carry out step.effects and answer with step.rejection or step.answer.
// A step without events may answer at once, but its effects wait for what was appended before. The answer to a
// WorkerHello is sent before the step's effects: the worker gets its welcome before its first assignment.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "common/result.hpp"
#include "coordinator/core/command.hpp"
#include "coordinator/core/effect.hpp"
#include "coordinator/core/event.pb.h"
#include "coordinator/core/paces.hpp"
#include "coordinator/core/state.hpp"
#include "coordinator/core/timers.hpp"

namespace fathom::core {

inline constexpr std::uint32_t kEventVersion = 1;

// Losses in a row without a checkpoint after which a job runs alone: it may be what kills its workers.
inline constexpr std::uint32_t kSuspectLosses = 3;

// Results that one ReadResults asks for.
inline constexpr std::size_t kResultsAtOnce = 256;

struct Options {
  Millis lease{15'000};        // one term; a heartbeat renews
  Millis backoff_base{1'000};  // the wait after the first failure; doubles with each
  Millis backoff_cap{300'000};
  std::uint32_t device_strikes = 3;  // trainers in a row without progress after which a device is excluded; 0: never
};

struct Decision {
  std::vector<event::Event> events;  // payload only; Core gives seq, time, version, job and phase
  std::optional<Error> rejection;    // for who asked; a refused item is still acknowledged
  Answer answer;
  std::vector<Effect> replies;  // to the worker that asked, events or not
};

using PlanPtr = std::shared_ptr<const sweeps::Plan>;

// What the due timers of a Tick say.
struct Due {
  std::vector<LeaseId> leases;
  std::vector<JobNumber> backoffs, job_walls;
  std::vector<SweepNumber> walls;
};
// `due` is read for Tick only.
Decision decide(const State& state, const Command& command, const Due& due, const Options& options, Now now);

// corrupt: the event does not follow from the state (a gap in seq, a move that the table refuses, an unknown number);
// unsupported: a payload, version or expander that this build does not know. The state is of no use after an error.
// `expanded`: the plan of a SweepSubmitted, where the caller has it; else it is expanded again.
Status evolve(State& state, const event::Event& event, PlanPtr expanded = nullptr);
// The plan of a submit, made again from the resolved text in it. unsupported: by another expander; corrupt: no JSON.
Result<PlanPtr> expand_again(const event::SweepSubmitted& event);

// What the event that ended a wanted source says; nullptr: it could not be read.
ResultRead result_in(const ReadResults::Wanted& wanted, const event::Event* end);

// `after`: the state right after this event.
std::vector<Effect> effects(const State& after, const event::Event& event);

// The next thing that follows from the state without anybody asking: a need resolved or missed, a rung's verdict, a
// stop, limits.failed, the end of a sweep. nullopt: nothing. Evolve it and ask again.
std::optional<event::Event> follow_up(const State& state);
// The next lease to grant; nullopt: no slot or no job. Evolve it and ask again.
std::optional<event::Event> next_grant(const State& state);

// The wait before the try after `tries` failed ones: base·2^(tries-1), at most cap, ±20 % by a hash of job and attempt.
Millis backoff_delay(const Options& options, JobNumber job, std::uint32_t attempt, std::uint32_t tries);

// Puts sweeps away that ended long enough ago, or are too many (sweep_table.hpp). Changes nothing that the functions
// above see; no reference into the state stays good. `now`: nullopt between the events of a log that is read.
void tidy(State& state, std::optional<TimePoint> now);

struct Step {
  std::vector<event::Event> events;  // complete; append all in one transaction
  std::vector<Effect> effects;
  std::optional<Error> rejection;
  Answer answer;
};

// Owner: the coordinator's strand; every method on it. Failure: replay() returns what evolve() says; handle() never
// fails (a command is refused in Step::rejection) and throws std::logic_error only for a bug of the core.
class Core {
 public:
  explicit Core(Options options) : options_(options) {}

  Status replay(const event::Event& event, PlanPtr expanded = nullptr) {
    FATHOM_TRY(evolve(state_, event, std::move(expanded)));
    if (state_.sweeps.is_full()) core::tidy(state_, std::nullopt);
    return success();
  }
  // Instead of a replay from the first event: a state that a snapshot gave, or an empty one with a shelf. The events
  // after it are replayed.
  void restore(State state) { state_ = std::move(state); }
  Step handle(const Command& command, Now now);
  // To be called a few times a minute at least, between commands. No reference into the state stays good.
  void tidy(Now now) { core::tidy(state_, now.mono); }

  [[nodiscard]] const State& state() const { return state_; }
  [[nodiscard]] const Options& options() const { return options_; }
  // When a Tick is due at the latest; nullopt: nothing waits.
  [[nodiscard]] std::optional<TimePoint> next_deadline() const { return timers_.next(); }
  // Who is slow, as far as this process has watched.
  [[nodiscard]] const Paces& paces() const { return paces_; }

 private:
  void apply(event::Event event, const PlanPtr& plan, Now now, Step& step);
  void settle(Now now, Step& step);             // follow-ups, then grants
  void read_results(Step& step);                // of jobs whose result is known
  void renew(const Command& command, Now now);  // leases that a heartbeat or a hello names

  Options options_;
  State state_;
  Timers timers_;
  Paces paces_;
  bool reading_ = false;  // a ReadResults was not answered yet
};

}  // namespace fathom::core
