#include "coordinator/core/transitions.hpp"

namespace fathom::core {
namespace {

using enum Phase;

// Rows are grouped by state. A stop wish only escalates: search < limit < cancel, so the reverse rows are missing.
// Finish wins over every wish: a result that is complete is kept, whoever committed first.
constexpr Transition kTable[] = {
    {blocked, Move::resolve, ready},
    {blocked, Move::skip, skipped},
    {blocked, Move::fail_need, failed},
    {blocked, Move::miss, blocked},
    {blocked, Move::wish_cancel, cancelled},

    // A wait ends at once whatever is wished: nobody has to be asked.
    {ready, Move::grant, leased},
    {ready, Move::reuse, succeeded},
    {ready, Move::wish_stop, stopped},  // a verdict over all seeds reaches one that waits for its next attempt
    {ready, Move::wish_cancel, cancelled},
    {ready, Move::wish_pause, paused},

    // A trainer may fail, or even finish, without a word before: Started is news, not a condition.
    {leased, Move::start, running},
    {leased, Move::release, ready},
    {leased, Move::expire, backoff},
    {leased, Move::back_off, backoff},
    {leased, Move::fail, failed},
    {leased, Move::diverge, diverged},
    {leased, Move::finish, succeeded},
    {leased, Move::wish_stop, stopping},
    {leased, Move::wish_cancel, cancelling},
    {leased, Move::wish_pause, pausing},

    {running, Move::report, running},
    {running, Move::release, ready},
    {running, Move::expire, backoff},
    {running, Move::back_off, backoff},
    {running, Move::fail, failed},
    {running, Move::diverge, diverged},
    {running, Move::finish, succeeded},
    {running, Move::wish_stop, stopping},
    {running, Move::wish_limit, limiting},
    {running, Move::wish_cancel, cancelling},
    {running, Move::wish_pause, pausing},

    // It will run again: what goes wrong meanwhile is a failed attempt like any other.
    {pausing, Move::start, pausing},
    {pausing, Move::report, pausing},
    {pausing, Move::release, paused},
    {pausing, Move::expire, backoff},
    {pausing, Move::back_off, backoff},
    {pausing, Move::fail, failed},
    {pausing, Move::diverge, diverged},
    {pausing, Move::finish, succeeded},
    {pausing, Move::wish_stop, stopping},
    {pausing, Move::wish_limit, limiting},
    {pausing, Move::wish_cancel, cancelling},

    {paused, Move::resume, ready},
    {paused, Move::wish_stop, stopped},
    {paused, Move::wish_cancel, cancelled},

    // The items that were on their way when the wish was sent are taken; however it ends, it ends as was wished.
    {stopping, Move::start, stopping},
    {stopping, Move::report, stopping},
    {stopping, Move::release, stopped},
    {stopping, Move::expire, stopped},
    {stopping, Move::fail, stopped},
    {stopping, Move::diverge, stopped},
    {stopping, Move::stop, stopped},
    {stopping, Move::finish, succeeded},
    {stopping, Move::wish_limit, limiting},
    {stopping, Move::wish_cancel, cancelling},

    {limiting, Move::start, limiting},
    {limiting, Move::report, limiting},
    {limiting, Move::release, failed},
    {limiting, Move::expire, failed},
    {limiting, Move::fail, failed},
    {limiting, Move::diverge, diverged},
    {limiting, Move::stop, failed},
    {limiting, Move::finish, succeeded},
    {limiting, Move::wish_cancel, cancelling},

    {cancelling, Move::start, cancelling},
    {cancelling, Move::report, cancelling},
    {cancelling, Move::release, cancelled},
    {cancelling, Move::expire, cancelled},
    {cancelling, Move::fail, cancelled},
    {cancelling, Move::diverge, cancelled},
    {cancelling, Move::stop, cancelled},
    {cancelling, Move::finish, succeeded},

    {backoff, Move::wake, ready},
    {backoff, Move::wish_stop, stopped},
    {backoff, Move::wish_cancel, cancelled},

    // A person wants it once more. Succeeded has its result and Stopped its verdict: nothing leaves them.
    {failed, Move::reopen, ready},
    {failed, Move::reblock, blocked},
    {diverged, Move::reopen, ready},
    {cancelled, Move::reopen, ready},
    {cancelled, Move::reblock, blocked},
    {skipped, Move::reblock, blocked},
};

constexpr const char* kPhaseNames[kPhases] = {"unknown",  "blocked",   "ready",   "leased",    "running", "stopping",
                                              "stopping", "stopping",  "backoff", "succeeded", "failed",  "diverged",
                                              "stopped",  "cancelled", "skipped", "paused",    "stopping"};
constexpr const char* kMoveNames[] = {"resolve",  "skip",      "fail_need",  "miss",        "grant",   "start",
                                      "report",   "wish_stop", "wish_limit", "wish_cancel", "release", "expire",
                                      "back_off", "wake",      "finish",     "fail",        "diverge", "stop",
                                      "reopen",   "reblock",   "wish_pause", "resume",      "reuse"};

}  // namespace

std::span<const Transition> transitions() { return kTable; }

// Some sixty rows of three bytes: a walk is as quick as any index.
std::optional<Phase> next(Phase from, Move move) {
  for (const Transition& row : kTable) {
    if (row.from == from && row.move == move) return row.to;
  }
  return std::nullopt;
}

const char* name_of(Phase phase) { return kPhaseNames[static_cast<std::size_t>(phase)]; }
const char* name_of(Move move) { return kMoveNames[static_cast<std::size_t>(move)]; }

bool is_terminal(Phase phase) { return phase >= succeeded && phase <= skipped; }
bool is_active(Phase phase) { return (phase >= leased && phase <= cancelling) || phase == pausing; }
bool may_reopen(Phase phase) { return is_terminal(phase) && (next(phase, Move::reopen) || next(phase, Move::reblock)); }
bool is_waiting(Phase phase) { return phase == blocked || phase == ready || phase == backoff || phase == paused; }

}  // namespace fathom::core
