#include "trainer/report/step_times.hpp"

#include <algorithm>
#include <cmath>

namespace fathom::trainer {

double quantile(const std::vector<double>& sorted, double q) {
  const double place = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(std::floor(place));
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

TimesSummary summarise(const std::vector<StepTimes>& steps) {
  std::vector<double> sorted;
  StepTimes sum;
  for (const auto& step : steps) {
    sorted.push_back(step.whole());
    sum.forward += step.forward;
    sum.backward += step.backward;
    sum.optimizer += step.optimizer;
  }
  std::sort(sorted.begin(), sorted.end());
  TimesSummary out;
  out.seconds = quantile(sorted, 0.5);
  out.p10 = quantile(sorted, 0.1);
  out.p90 = quantile(sorted, 0.9);
  const double scale = sum.whole() > 0 ? out.seconds / sum.whole() : 0;
  out.forward = sum.forward * scale;
  out.backward = sum.backward * scale;
  out.optimizer = sum.optimizer * scale;
  return out;
}

}  // namespace fathom::trainer
