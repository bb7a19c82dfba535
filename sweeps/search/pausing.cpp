// Methods that pause a setting at each rung until it is clear whether it goes on: ASHA as published, which promotes
// (Li et al., MLSys 2020, algorithm 2), and synchronous successive halving (Jamieson and Talwalkar, AISTATS 2016).
#include <algorithm>

#include "sweeps/search/rungs.hpp"
#include "sweeps/search/stopper.hpp"
#include "sweeps/search/verdicts.hpp"

namespace fathom::sweeps {
namespace {

Stopper::Entry decided(const Stopper::Entry& waiting, bool keep_going) {
  Stopper::Entry out = waiting;
  out.held = false;
  out.keep_going = keep_going;
  return out;
}

}  // namespace

// The entries of a rung, best first, the earlier of equal ones first. What was withdrawn is behind all others, that is,
// left out.
std::vector<const Stopper::Entry*> Stopper::ranked(std::uint32_t bracket, std::uint32_t rung) const {
  std::vector<const Entry*> out;
  for (const Entry& entry : entries_) {
    const Track& own = track(entry.job);
    if (entry.rung == rung && own.bracket == bracket && !own.withdrawn) out.push_back(&entry);
  }
  std::ranges::stable_sort(out, [&](const Entry* a, const Entry* b) { return better(goal_, a->value, b->value); });
  return out;
}

// A setting of the bracket may still come to this rung: it is neither there nor at an end.
bool Stopper::to_come(std::uint32_t bracket, std::uint32_t rung) const {
  return std::ranges::any_of(tracks_, [&](const auto& entry) {
    const Track& own = entry.second;
    const bool ended = own.stopped || own.completed || own.withdrawn;
    return own.bracket == bracket && !ended && own.values.size() <= rung;
  });
}

// One promotion at most: each entry makes at most one setting of its rung one of the best n / eta, and a setting that
// is promoted may change what follows. Once nothing of a bracket runs any more, each of its rungs promotes at least its
// best, from the top rung down, so that one setting reaches the full budget; then the rest is over.
std::vector<Stopper::Entry> Stopper::promotions() const {
  std::vector<Entry> over;
  for (std::uint32_t bracket = 0; bracket < rungs_.size(); ++bracket) {
    const bool drained = std::ranges::none_of(tracks_, [&](const auto& entry) {
      const Track& own = entry.second;
      return own.bracket == bracket && !own.stopped && !own.completed && !own.withdrawn && !own.waiting;
    });
    for (std::size_t rung = rungs_[bracket].size(); rung-- > 0;) {
      const auto ranks = ranked(bracket, static_cast<std::uint32_t>(rung));
      const auto entries = static_cast<std::uint32_t>(values_[bracket][rung].size());
      const std::uint32_t keep = std::max<std::uint32_t>(kept_of(entries, rule_.eta, false), drained ? 1 : 0);
      for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
        if (!ranks[rank]->held) continue;
        // One that has completed meanwhile keeps its result.
        if (rank < keep || track(ranks[rank]->job).completed) return {decided(*ranks[rank], true)};
        if (drained) over.push_back(decided(*ranks[rank], false));
      }
    }
  }
  return over;
}

// A rung is decided once nothing is on its way to it.
std::vector<Stopper::Entry> Stopper::halved() const {
  std::vector<Entry> out;
  for (std::uint32_t bracket = 0; bracket < rungs_.size(); ++bracket) {
    for (std::uint32_t rung = 0; rung + 1 < rungs_[bracket].size(); ++rung) {
      if (to_come(bracket, rung)) break;  // nor is it decided who comes to the rungs above
      const auto ranks = ranked(bracket, rung);
      const auto entries = static_cast<std::uint32_t>(values_[bracket][rung].size());
      const std::uint32_t keep = std::max(kept_of(entries, rule_.eta, rule_.round_up), 1U);
      for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
        if (!ranks[rank]->held) continue;
        out.push_back(decided(*ranks[rank], rank < keep || track(ranks[rank]->job).completed));
      }
    }
  }
  return out;
}

std::string describe_rest(const Stopper& stopper, JobIndex setting, std::uint32_t rung) {
  const auto& rungs = stopper.rungs(setting);
  if (stopper.clones())
    return "behind its population at epoch " + std::to_string(rungs[rung]) + ", goes on as a clone of one of the best";
  return "paused at rung " + std::to_string(rung + 1) + " of " + std::to_string(rungs.size()) + " (" +
         unit_of(stopper.rule()) + " " + std::to_string(rungs[rung]) + "), waits for " +
         (stopper.rule().promote ? "promotion" : "the other settings of its group");
}

}  // namespace fathom::sweeps
