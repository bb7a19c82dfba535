#include "sweeps/search/verdicts.hpp"

#include <algorithm>
#include <cmath>

namespace fathom::sweeps {

bool among_best(const std::vector<double>& others, double value, Goal goal, std::uint32_t eta, bool ties_continue) {
  const std::uint64_t keep = std::max<std::uint64_t>(1, (others.size() + 1) / std::max(eta, 1U));
  const auto [lower, upper] = std::equal_range(others.begin(), others.end(), value);
  const auto equal = ties_continue ? 0 : static_cast<std::size_t>(upper - lower);
  return count_better(others, value, goal) + equal < keep;
}

std::size_t count_better(const std::vector<double>& sorted, double value, Goal goal) {
  const auto [lower, upper] = std::equal_range(sorted.begin(), sorted.end(), value);
  return static_cast<std::size_t>(goal == Goal::maximize ? sorted.end() - upper : lower - sorted.begin());
}

double median(std::vector<double> values) { return percentile(std::move(values), 50); }

double percentile(std::vector<double> values, double percent) {
  std::sort(values.begin(), values.end());
  const double place = percent / 100 * static_cast<double>(values.size() - 1);
  const auto low = static_cast<std::size_t>(place);
  const std::size_t high = std::min(low + 1, values.size() - 1);
  return values[low] + (values[high] - values[low]) * (place - static_cast<double>(low));
}

std::uint32_t without_progress(const std::vector<double>& values, Goal goal, double min_delta) {
  std::uint32_t since = 0;
  double best = values.empty() ? 0 : values.front();
  for (std::size_t i = 1; i < values.size(); ++i) {
    ++since;
    const double needed = goal == Goal::maximize ? best + min_delta : best - min_delta;
    if (!better(goal, values[i], needed)) continue;
    best = values[i];
    since = 0;
  }
  return since;
}

}  // namespace fathom::sweeps
