#include "trainer/packed/prefix_plan.hpp"

#include <algorithm>
#include <cstddef>

namespace fathom::trainer::packed {
namespace {

// A choice among the candidates so far that ends with a given one.
struct Choice {
  std::vector<std::int64_t> stages;
  std::uint64_t bytes = 0;
  double work = 0;  // of all demands below the next boundary
};

// What the demands from `from` (stored there; -1: nothing is) up to, but not including, `to` compute.
double work_between(std::int64_t from, std::int64_t to, const std::vector<Demand>& demands,
                    const std::vector<double>& cost) {
  double work = 0;
  for (const auto& demand : demands) {
    if (demand.stage < from || demand.stage >= to) continue;
    double path = 0;
    for (auto stage = from + 1; stage <= demand.stage; ++stage) path += cost[static_cast<std::size_t>(stage)];
    work += demand.passes * path;
  }
  return work;
}

bool better(const Choice& a, const Choice& b) { return a.work != b.work ? a.work < b.work : a.bytes < b.bytes; }

// Drops the choices that another one beats in work without needing more bytes.
void prune(std::vector<Choice>& choices) {
  std::sort(choices.begin(), choices.end(),
            [](const Choice& a, const Choice& b) { return a.bytes != b.bytes ? a.bytes < b.bytes : a.work < b.work; });
  std::vector<Choice> kept;
  for (auto& choice : choices) {
    if (kept.empty() || choice.work < kept.back().work) kept.push_back(std::move(choice));
  }
  choices = std::move(kept);
}

}  // namespace

std::vector<std::int64_t> choose_boundaries(const std::vector<Boundary>& candidates, const std::vector<Demand>& demands,
                                            const std::vector<double>& cost, std::uint64_t budget) {
  std::vector<Boundary> rising = candidates;
  std::sort(rising.begin(), rising.end(), [](const auto& a, const auto& b) { return a.stage < b.stage; });
  const auto end = static_cast<std::int64_t>(cost.size());
  // Only what is behind the last boundary depends on it, so the best choices by their last boundary are enough.
  std::vector<std::vector<Choice>> ending = {{{}}};
  Choice best;
  best.work = work_between(-1, end, demands, cost);
  for (const auto& boundary : rising) {
    std::vector<Choice> here;
    for (std::size_t last = 0; last < ending.size(); ++last) {
      const auto from = last == 0 ? -1 : rising[last - 1].stage;
      const double between = work_between(from, boundary.stage, demands, cost);
      for (const auto& choice : ending[last]) {
        if (boundary.bytes > budget - choice.bytes) continue;
        Choice longer = choice;
        longer.stages.push_back(boundary.stage);
        longer.bytes += boundary.bytes;
        longer.work += between;
        here.push_back(std::move(longer));
      }
    }
    prune(here);
    const double rest = work_between(boundary.stage, end, demands, cost);
    for (const auto& choice : here) {
      Choice whole = choice;
      whole.work += rest;
      if (better(whole, best)) best = std::move(whole);
    }
    ending.push_back(std::move(here));
  }
  return best.stages;
}

}  // namespace fathom::trainer::packed
