// The life of a job as data: every state, every move, and the one table of what leads where. What the table does not
// have is refused by next(), which is the only place that knows. Chart: docs/lifecycle/job.md.
// Thread: constants and free functions without state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace fathom::core {

// The numbers are those of fathom.event.Phase and never change: the log holds them.
enum class Phase : std::uint8_t {
  blocked = 1,  // waits for inputs
  ready,        // waits for a slot
  leased,       // given to a worker, not yet heard of
  running,
  stopping,    // leased or running, and asked to stop by a search method
  limiting,    // …by job_wall
  cancelling,  // …by a person or a limit of the sweep
  backoff,     // waits after a failed attempt or a lost lease
  succeeded,
  failed,
  diverged,
  stopped,
  cancelled,
  skipped,
  paused,   // at a rung, without a lease, until its search lets it go on
  pausing,  // leased or running, and asked to pause
};
inline constexpr std::size_t kPhases = 17;  // for arrays that a Phase indexes

// What can happen to a job. Each event of the log is one move of one job (a sweep's cancel: one for each job).
enum class Move : std::uint8_t {
  resolve,     // every input is chosen
  skip,        // an input cannot be met
  fail_need,   // …and on_missing says fail
  miss,        // …and on_missing says wait
  grant,       // a slot is given
  start,       // the trainer began
  report,      // report, checkpoint: progress, no change of state
  wish_stop,   // a search method's verdict
  wish_limit,  // job_wall is over
  wish_cancel,
  release,   // the holder does not run it
  expire,    // the holder was not heard of in time
  back_off,  // the attempt failed, another one follows
  wake,      // the wait is over
  finish,
  fail,        // the attempt failed, it was the last
  diverge,     // NaN or Inf, for good
  stop,        // the holder stopped as wished
  reopen,      // a new generation of a job that ended without a result, with the inputs it had or needs none
  reblock,     // …whose inputs were never chosen
  wish_pause,  // at a rung without a verdict
  resume,      // the verdict is to go on
  reuse,       // another job has its result
};

struct Transition {
  Phase from;
  Move move;
  Phase to;
};
// The whole table, for tests and documentation.
std::span<const Transition> transitions();

// Where `move` leads from `from`; nullopt: refused.
std::optional<Phase> next(Phase from, Move move);

// Lower case, as in REST: stopping, limiting, cancelling and pausing are all "stopping"
// there.
const char* name_of(Phase phase);
const char* name_of(Move move);
bool is_terminal(Phase phase);
// The job holds a lease.
bool is_active(Phase phase);
// Ended, and a person may open it again.
bool may_reopen(Phase phase);
// Neither ended nor with a lease: a cancel ends it at once.
bool is_waiting(Phase phase);

}  // namespace fathom::core
