// The metrics of regression tasks.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "trainer/report/metrics.hpp"

namespace fathom::trainer {
namespace {

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// 1-based ranks; equal values get the mean of the ranks they span.
std::vector<double> ranks(const std::vector<double>& values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return values[a] < values[b]; });
  std::vector<double> result(values.size());
  for (std::size_t first = 0; first < order.size();) {
    std::size_t last = first;
    while (last + 1 < order.size() && values[order[last + 1]] == values[order[first]]) ++last;
    const double shared = 1.0 + static_cast<double>(first + last) / 2.0;
    for (std::size_t i = first; i <= last; ++i) result[order[i]] = shared;
    first = last + 1;
  }
  return result;
}

}  // namespace

double pearson(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.empty()) return 0.0;
  const double mean_a = mean(a), mean_b = mean(b);
  double covariance = 0, spread_a = 0, spread_b = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    covariance += (a[i] - mean_a) * (b[i] - mean_b);
    spread_a += (a[i] - mean_a) * (a[i] - mean_a);
    spread_b += (b[i] - mean_b) * (b[i] - mean_b);
  }
  const double scale = std::sqrt(spread_a) * std::sqrt(spread_b);
  // A NaN prediction must stay a NaN: it tells divergence.
  if (std::isnan(scale)) return scale;
  return scale > 0 ? covariance / scale : 0.0;
}

double spearman(const std::vector<double>& a, const std::vector<double>& b) {
  const auto not_a_number = [](double value) { return std::isnan(value); };
  // NaN has no place in an order; the mean squared error and the loss tell of it.
  if (std::any_of(a.begin(), a.end(), not_a_number)) return std::nan("");
  return pearson(ranks(a), ranks(b));
}

double mean_squared_error(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.empty()) return 0.0;
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sum / static_cast<double>(a.size());
}

}  // namespace fathom::trainer
