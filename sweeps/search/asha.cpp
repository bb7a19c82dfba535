#include "sweeps/search/asha.hpp"

#include <algorithm>
#include <cmath>

namespace fathom::sweeps {

std::vector<std::uint32_t> rungs_of(const StopRule& rule) {
  std::vector<std::uint32_t> rungs;
  // 64 bits: min * eta^k may pass 2^32 in the step that ends the loop. Never a logarithm: it loses a rung (243, 3).
  const std::uint64_t factor = std::max<std::uint64_t>(rule.eta, 2);
  for (std::uint64_t rung = std::max<std::uint64_t>(rule.min, 1); rung < rule.max; rung *= factor) {
    rungs.push_back(static_cast<std::uint32_t>(rung));
  }
  rungs.push_back(rule.max);
  return rungs;
}

Asha::Asha(StopRule rule, Goal goal) : rule_(std::move(rule)), goal_(goal), rungs_(rungs_of(rule_)) {}

std::vector<Asha::Entry> Asha::judge(JobIndex job, std::uint32_t epoch, double value) const {
  if (!std::isfinite(value)) return {};
  std::vector<bool> entered(rungs_.size(), false);
  for (const Entry& entry : entries_) {
    if (entry.job != job) continue;
    if (!entry.keep_going) return {};  // already told to stop: a late report changes nothing
    entered[entry.rung] = true;
  }
  std::vector<Entry> news;
  for (std::uint32_t rung = 0; rung < rungs_.size() && rungs_[rung] <= epoch; ++rung) {
    if (entered[rung]) continue;
    const bool last = rung + 1 == rungs_.size();  // at full budget there is nothing left to save
    news.push_back({job, rung, value, last || survives(rung, value)});
    if (!news.back().keep_going) break;
  }
  return news;
}

bool Asha::survives(std::uint32_t rung, double value) const {
  std::uint64_t count = 1;  // with the new entry
  std::uint64_t ahead = 0;  // entries that take a place before it
  for (const Entry& entry : entries_) {
    if (entry.rung != rung) continue;
    ++count;
    const bool better = goal_ == Goal::maximize ? entry.value > value : entry.value < value;
    if (better || (!rule_.ties_continue && entry.value == value)) ++ahead;
  }
  const std::uint64_t keep = std::max<std::uint64_t>(1, count / std::max(rule_.eta, 1u));
  return ahead < keep;
}

void Asha::restore(const Entry& entry) {
  if (entry.rung < rungs_.size()) entries_.push_back(entry);
}

}  // namespace fathom::sweeps
