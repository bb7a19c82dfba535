#include "sweeps/search/tpe.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>

#include "sweeps/search/parzen.hpp"
#include "sweeps/search/verdicts.hpp"

namespace fathom::sweeps {
namespace {

using nlohmann::json;

constexpr std::size_t kCandidates = 24;
constexpr std::size_t kMostGood = 25;
constexpr int kRounds = 16;  // of candidates, where those before were drawn already or are excluded
constexpr int kEvenDraws = 10'000;

bool precedes(Goal goal, const Observation& a, const Observation& b) {
  if (a.reached != b.reached) return a.reached < b.reached;
  if (a.reached == Reached::part && a.epoch != b.epoch) return a.epoch > b.epoch;
  return a.reached != Reached::nothing && better(goal, a.value, b.value);
}

// Streams of neighbouring trials do not overlap: their starts are drawn.
SplitMix stream_of(const Space& space, std::uint32_t trial) {
  SplitMix seeds(space.seed ^ (std::uint64_t{trial} + 1) * 0xd1342543de82ef95ULL);
  return SplitMix(seeds.next());
}

class Models {
 public:
  Models(const Space& space, Goal goal, const std::vector<Observation>& seen) : space_(space) {
    const Halves halves = split_tpe(goal, seen);
    const auto places = [&](const std::vector<const Observation*>& some) {
      std::vector<std::vector<double>> out;
      for (const Observation* one : some) out.push_back(space.places(one->point));
      return out;
    };
    const auto good = places(halves.good), rest = places(halves.rest);
    auto all = good;
    all.insert(all.end(), rest.begin(), rest.end());
    for (auto& own : joint_dimensions(all, space.dimensions.size())) {
      Parzen of_good = estimate(own, good), of_rest = estimate(own, rest);
      parts_.push_back({std::move(own), std::move(of_good), std::move(of_rest)});
    }
  }

  // The best of so many candidates in each part.
  std::vector<double> best(SplitMix& random) const {
    std::vector<double> out(space_.dimensions.size());
    for (const Part& part : parts_) {
      std::vector<double> chosen;
      double most = 0;
      for (std::size_t i = 0; i < kCandidates; ++i) {
        std::vector<double> candidate = part.good.sample(random);
        const double ratio = part.good.log_density(candidate) - part.rest.log_density(candidate);
        if (chosen.empty() || ratio > most) chosen = std::move(candidate), most = ratio;
      }
      for (std::size_t i = 0; i < part.dimensions.size(); ++i) out[part.dimensions[i]] = chosen[i];
    }
    return out;
  }

 private:
  struct Part {
    std::vector<std::size_t> dimensions;
    Parzen good, rest;
  };

  [[nodiscard]] Parzen estimate(const std::vector<std::size_t>& own,
                                const std::vector<std::vector<double>>& all) const {
    std::vector<const Dimension*> dimensions;
    for (const std::size_t d : own) dimensions.push_back(&space_.dimensions[d]);
    std::vector<std::vector<double>> seen;
    for (const auto& places : all) {
      if (std::isnan(places[own.front()])) continue;
      std::vector<double>& row = seen.emplace_back();
      for (const std::size_t d : own) row.push_back(places[d]);
    }
    return Parzen(std::move(dimensions), seen);
  }

  const Space& space_;
  std::vector<Part> parts_;
};

}  // namespace

Halves split_tpe(Goal goal, const std::vector<Observation>& seen) {
  std::vector<const Observation*> ended;
  for (const Observation& one : seen) {
    if (one.reached != Reached::open) ended.push_back(&one);
  }
  std::stable_sort(ended.begin(), ended.end(),
                   [&](const Observation* a, const Observation* b) { return precedes(goal, *a, *b); });
  const std::size_t most = std::min((ended.size() + 9) / 10, kMostGood);
  std::set<const Observation*> good;
  for (std::size_t i = 0; i < most; ++i) {
    if (ended[i]->reached != Reached::nothing) good.insert(ended[i]);
  }
  Halves out;
  for (const Observation& one : seen) (good.contains(&one) ? out.good : out.rest).push_back(&one);
  return out;
}

std::vector<std::vector<std::size_t>> joint_dimensions(const std::vector<std::vector<double>>& places,
                                                       std::size_t dimensions) {
  std::vector<std::vector<std::size_t>> out;
  std::map<std::vector<bool>, std::size_t> known;
  for (std::size_t d = 0; d < dimensions; ++d) {
    std::vector<bool> there;
    for (const auto& one : places) there.push_back(!std::isnan(one[d]));
    const auto [found, fresh] = known.try_emplace(std::move(there), out.size());
    if (fresh) out.emplace_back();
    out[found->second].push_back(d);
  }
  return out;
}

Drawn draw_tpe(const Space& space, Goal goal, std::uint32_t trial, const std::vector<Observation>& seen,
               const Allowed& allowed) {
  SplitMix random = stream_of(space, trial);
  std::set<std::string> known;
  std::size_t ended = 0;
  for (const Observation& one : seen) {
    known.insert(one.point.dump());
    ended += one.reached == Reached::open ? 0 : 1;
  }
  // Where every point of a small space was drawn, one of them again: its result is known.
  std::optional<Drawn> again;
  const auto fits = [&](Drawn drawn) -> std::optional<Drawn> {
    if (!allowed(drawn.point)) return std::nullopt;
    if (!known.contains(drawn.point.dump())) return drawn;
    if (!again) again = std::move(drawn);
    return std::nullopt;
  };
  if (ended >= space.startup) {
    const Models models(space, goal, seen);
    for (int round = 0; round < kRounds; ++round) {
      if (auto drawn = fits({space.point(models.best(random)), true})) return *std::move(drawn);
    }
  }
  for (int i = 0; i < kEvenDraws; ++i) {
    if (auto drawn = fits({space.point(space.uniform(random)), false})) return *std::move(drawn);
  }
  return again ? *std::move(again) : Drawn{};
}

}  // namespace fathom::sweeps
