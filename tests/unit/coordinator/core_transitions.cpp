// The table of job states: complete, closed, and true to docs/lifecycle/job.md.
#include "coordinator/core/transitions.hpp"

#include <fstream>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "coordinator/core/event.pb.h"

namespace fathom::core {
namespace {

constexpr Phase kAll[] = {Phase::blocked,   Phase::ready,    Phase::leased,     Phase::running,
                          Phase::stopping,  Phase::limiting, Phase::cancelling, Phase::backoff,
                          Phase::succeeded, Phase::failed,   Phase::diverged,   Phase::stopped,
                          Phase::cancelled, Phase::skipped,  Phase::paused,     Phase::pausing};

std::set<Move> moves_from(Phase phase) {
  std::set<Move> out;
  for (const Transition& row : transitions()) {
    if (row.from == phase) out.insert(row.move);
  }
  return out;
}

TEST(CoreTransitions, EachRowIsTheOnlyOneForItsStateAndMove) {
  std::set<std::pair<Phase, Move>> seen;
  for (const Transition& row : transitions()) {
    EXPECT_TRUE(seen.emplace(row.from, row.move).second) << name_of(row.from) << " " << name_of(row.move);
    EXPECT_EQ(next(row.from, row.move), row.to);
  }
}

TEST(CoreTransitions, EveryPhaseIsOneOfWaitingActiveTerminal) {
  for (const Phase phase : kAll) {
    EXPECT_EQ(is_waiting(phase) + is_active(phase) + is_terminal(phase), 1) << name_of(phase);
  }
}

TEST(CoreTransitions, TerminalStatesAreLeftByANewGenerationOnlyAndResultsByNothing) {
  for (const Phase phase : kAll) {
    std::set<Move> moves = moves_from(phase);
    EXPECT_EQ(may_reopen(phase), moves.contains(Move::reopen) || moves.contains(Move::reblock)) << name_of(phase);
    moves.erase(Move::reopen), moves.erase(Move::reblock);
    EXPECT_EQ(moves.empty(), is_terminal(phase)) << name_of(phase);
  }
  for (const Phase phase : {Phase::succeeded, Phase::stopped}) EXPECT_TRUE(moves_from(phase).empty()) << name_of(phase);
}

TEST(CoreTransitions, CancelIsPossibleFromEveryStateThatHasNotEndedOrBeenCancelled) {
  for (const Phase phase : kAll) {
    const bool possible = next(phase, Move::wish_cancel).has_value();
    EXPECT_EQ(possible, !is_terminal(phase) && phase != Phase::cancelling) << name_of(phase);
    if (!possible) continue;
    EXPECT_EQ(next(phase, Move::wish_cancel), is_waiting(phase) ? Phase::cancelled : Phase::cancelling);
  }
}

TEST(CoreTransitions, StopWishesOnlyEscalate) {
  EXPECT_EQ(next(Phase::running, Move::wish_stop), Phase::stopping);
  EXPECT_EQ(next(Phase::stopping, Move::wish_limit), Phase::limiting);
  EXPECT_EQ(next(Phase::limiting, Move::wish_cancel), Phase::cancelling);
  EXPECT_FALSE(next(Phase::cancelling, Move::wish_limit));
  EXPECT_FALSE(next(Phase::cancelling, Move::wish_stop));
  EXPECT_FALSE(next(Phase::limiting, Move::wish_stop));
}

TEST(CoreTransitions, EveryStateWithALeaseHasAWayOutWhateverTheWorkerDoes) {
  for (const Phase phase : kAll) {
    if (!is_active(phase)) continue;
    for (const Move move : {Move::release, Move::expire, Move::finish, Move::fail, Move::diverge}) {
      const auto to = next(phase, move);
      ASSERT_TRUE(to) << name_of(phase) << " " << name_of(move);
      EXPECT_FALSE(is_active(*to)) << name_of(phase) << " " << name_of(move);
    }
  }
}

TEST(CoreTransitions, AFinishedResultIsKeptWhateverWasWished) {
  for (const Phase phase : kAll) {
    if (!is_active(phase)) continue;
    EXPECT_EQ(next(phase, Move::finish), Phase::succeeded) << name_of(phase);
  }
}

TEST(CoreTransitions, EveryStateCanBeReachedFromTheTwoThatASubmitMakes) {
  std::set<Phase> reached = {Phase::blocked, Phase::ready};
  for (std::size_t before = 0; before != reached.size();) {
    before = reached.size();
    for (const Transition& row : transitions()) {
      if (reached.contains(row.from)) reached.insert(row.to);
    }
  }
  EXPECT_EQ(reached.size(), std::size(kAll));
}

TEST(CoreTransitions, NumbersAreThoseOfTheLog) {
  for (const Phase phase : kAll) {
    const std::string logged = event::Phase_Name(static_cast<int>(phase));
    ASSERT_FALSE(logged.empty());
    std::string lower;
    for (const char c : logged) lower += static_cast<char>(std::tolower(c));
    const bool stop_like = phase == Phase::limiting || phase == Phase::cancelling || phase == Phase::pausing;
    EXPECT_EQ(stop_like ? "stopping" : lower, name_of(phase));
  }
}

// The page lists the same rows: `| from | move | to |`.
TEST(CoreTransitions, TheTableInTheDocumentationIsTheSame) {
  std::ifstream file(FATHOM_SOURCE_DIR "/docs/lifecycle/job.md");
  ASSERT_TRUE(file);
  const auto phase_name = [](Phase phase) {
    std::string text = event::Phase_Name(static_cast<int>(phase));
    for (char& c : text) c = static_cast<char>(std::tolower(c));
    return text;
  };
  std::set<std::string> expected, found;
  for (const Transition& row : transitions()) {
    expected.insert("| " + phase_name(row.from) + " | " + name_of(row.move) + " | " + phase_name(row.to) + " |");
  }
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    if (line == "| from | move | to |") inside = true;
    if (inside && line.empty()) break;
    if (inside && line.find("---") == std::string::npos && line != "| from | move | to |") found.insert(line);
  }
  EXPECT_EQ(found, expected);
}

}  // namespace
}  // namespace fathom::core
