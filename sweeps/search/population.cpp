#include "sweeps/search/population.hpp"

#include <algorithm>
#include <cmath>

#include "sweeps/resolve/parameters.hpp"
#include "sweeps/search/random.hpp"
#include "sweeps/search/space.hpp"
#include "sweeps/search/stopper.hpp"
#include "sweeps/search/verdicts.hpp"

namespace fathom::sweeps {
namespace {

using nlohmann::json;

// Next to a place of a list, or of a range; ends stay where they are.
double perturbed(const Dimension& dimension, double place, const std::vector<double>& factors, SplitMix& random) {
  if (dimension.listed()) {
    const double step = random.unit() < 0.5 ? -1 : 1;
    return std::clamp(place + step, 0.0, static_cast<double>(dimension.rows.size() - 1));
  }
  const double factor = factors[static_cast<std::size_t>(random.unit() * static_cast<double>(factors.size()))];
  const double value = place * factor;
  return std::clamp(dimension.whole ? std::round(value) : round_digits(value), dimension.low, dimension.high);
}

// With a null for each parameter that is absent, so that the point says it.
json whole_point(const Space& space, json point) {
  for (const Dimension& dimension : space.dimensions) {
    for (const std::string& name : dimension.names) point.emplace(name, nullptr);
  }
  return point;
}

}  // namespace

std::vector<std::string> explored(const StopRule& rule) {
  std::vector<std::string> out;
  if (rule.space == nullptr) return out;
  for (const Dimension& dimension : rule.space->dimensions)
    out.insert(out.end(), dimension.names.begin(), dimension.names.end());
  return out;
}

std::optional<Clone> draw_clone(const StopRule& rule, JobIndex member, std::uint32_t rung,
                                const std::vector<JobIndex>& donors, const std::function<json(JobIndex)>& point_of,
                                const std::function<bool(const json&)>& allowed) {
  if (donors.empty()) return std::nullopt;
  const Space& space = *rule.space;
  SplitMix random(SplitMix::mix(space.seed) ^ SplitMix::mix(SplitMix::mix(std::uint64_t{member} + 1) + rung));
  Clone out;
  out.donor = donors[static_cast<std::size_t>(random.unit() * static_cast<double>(donors.size()))];
  const json from = point_of(out.donor);
  std::vector<double> places = space.places(from);
  for (std::size_t d = 0; d < places.size(); ++d) {
    const Dimension& dimension = space.dimensions[d];
    // What the donor does not have has no neighbours.
    if (random.unit() < rule.resample || std::isnan(places[d])) {
      places[d] = dimension.at(random.unit());
      out.resampled.insert(out.resampled.end(), dimension.names.begin(), dimension.names.end());
    } else {
      places[d] = perturbed(dimension, places[d], rule.factors, random);
    }
  }
  out.point = space.point(places);
  if (!allowed(out.point)) {
    out.point = from;
    out.resampled.clear();
  }
  out.point = whole_point(space, std::move(out.point));
  return out;
}

// Members that have a value and may still be cloned, the worst first, equal ones in file order: Ray's _quantiles(), so
// that with few members no more than half are at either end.
std::pair<std::vector<JobIndex>, std::vector<JobIndex>> Stopper::quantiles(const Entry* news) const {
  std::vector<std::pair<double, JobIndex>> order;
  for (const auto& [member, own] : tracks_) {
    const bool now = news != nullptr && news->job == member;
    if (own.completed || own.withdrawn || (own.values.empty() && !now)) continue;
    order.emplace_back(now ? news->value : own.values.back(), member);
  }
  std::ranges::stable_sort(order, [&](const auto& a, const auto& b) { return better(goal_, b.first, a.first); });
  std::pair<std::vector<JobIndex>, std::vector<JobIndex>> out;
  if (order.size() < 2) return out;
  const auto share = static_cast<std::size_t>(std::ceil(rule_.quantile * static_cast<double>(order.size()) - 1e-9));
  const std::size_t count = std::min(share, order.size() / 2);
  for (std::size_t i = 0; i < count; ++i) {
    out.first.push_back(order[i].second);
    out.second.push_back(order[order.size() - count + i].second);
  }
  return out;
}

// Among the worst, and worse than somebody among the best: where all are equal there is nothing to take over.
bool Stopper::falls_behind(const Entry& entry) const {
  const auto [lower, upper] = quantiles(&entry);
  return std::ranges::find(lower, entry.job) != lower.end() &&
         std::ranges::any_of(upper, [&](JobIndex other) { return better(goal_, newest(other), entry.value); });
}

std::vector<JobIndex> Stopper::donors(JobIndex member) const {
  if (track(member).values.empty()) return {};
  std::vector<JobIndex> out = upper();
  std::erase_if(out, [&](JobIndex other) { return !better(goal_, newest(other), newest(member)); });
  return out;
}

}  // namespace fathom::sweeps
