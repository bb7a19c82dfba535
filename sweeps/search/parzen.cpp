#include "sweeps/search/parzen.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

#include "sweeps/resolve/parameters.hpp"

namespace fathom::sweeps {
namespace {

constexpr double kSpread = 0.2;     // Optuna's SIGMA0_MAGNITUDE
constexpr std::size_t kFresh = 25;  // newest observations that weigh 1

double scaled(const Dimension& dimension, double value) { return dimension.log ? std::log(value) : value; }

double normal_mass(double from, double to) {
  return 0.5 * (std::erf(to / std::numbers::sqrt2) - std::erf(from / std::numbers::sqrt2));
}

std::vector<double> weights_of(std::size_t seen) {
  std::vector<double> out(seen + 1, 1.0);  // and the prior
  // From 1 / n up to 1, in even steps.
  const std::size_t old = seen > kFresh ? seen - kFresh : 0;
  const double least = seen == 0 ? 1 : 1.0 / static_cast<double>(seen);
  for (std::size_t i = 0; i < old; ++i)
    out[i] = old == 1 ? least : least + (1 - least) * static_cast<double>(i) / static_cast<double>(old - 1);
  const double sum = std::accumulate(out.begin(), out.end(), 0.0);
  for (double& weight : out) weight /= sum;
  return out;
}

// Picks by shares that sum to 1.
std::size_t pick(const std::vector<double>& shares, double at) {
  std::size_t i = 0;
  for (; i + 1 < shares.size() && at >= shares[i]; ++i) at -= shares[i];
  return i;
}

// Box and Muller; the second of the pair is not kept, so that each draw is a function of the next two numbers.
double normal(SplitMix& random) {
  const double radius = std::sqrt(-2 * std::log(1 - random.unit()));
  return radius * std::cos(2 * std::numbers::pi * random.unit());
}

}  // namespace

Parzen::Parzen(std::vector<const Dimension*> dimensions, const std::vector<std::vector<double>>& seen)
    : dimensions_(std::move(dimensions)), weights_(weights_of(seen.size())) {
  const auto n = static_cast<double>(seen.size());
  const double narrow = kSpread * std::pow(std::max(n, 1.0), -1 / (static_cast<double>(dimensions_.size()) + 4));
  for (std::size_t d = 0; d < dimensions_.size(); ++d) {
    const Dimension& dimension = *dimensions_[d];
    Kernels& own = kernels_.emplace_back();
    if (dimension.listed()) {
      const double prior = 1 / (n + 1);
      const double sum = 1 + prior * static_cast<double>(dimension.rows.size());
      for (const auto& places : seen) {
        own.shares.emplace_back(dimension.rows.size(), prior / sum)[static_cast<std::size_t>(places[d])] += 1 / sum;
      }
      own.shares.emplace_back(dimension.rows.size(), 1 / static_cast<double>(dimension.rows.size()));
      continue;
    }
    const double half = dimension.whole ? 0.5 : 0;
    own.low = scaled(dimension, dimension.low - half), own.high = scaled(dimension, dimension.high + half);
    const double width = own.high - own.low;
    const double sigma = std::clamp(narrow * width, width / std::min(100.0, n + 2), width);
    for (const auto& places : seen) own.centre.push_back(scaled(dimension, places[d])), own.sigma.push_back(sigma);
    own.centre.push_back((own.low + own.high) / 2), own.sigma.push_back(width);
  }
}

// By rejection: a centre lies inside and no sigma is above the width, so at least a third of the draws are inside.
double Parzen::sample_one(std::size_t dimension, std::size_t component, SplitMix& random) const {
  const Dimension& of = *dimensions_[dimension];
  const Kernels& own = kernels_[dimension];
  if (of.listed()) return static_cast<double>(pick(own.shares[component], random.unit()));
  double at = 0;
  do {
    at = own.centre[component] + own.sigma[component] * normal(random);
  } while (at < own.low || at > own.high);
  const double value = of.log ? std::exp(at) : at;
  return std::clamp(of.whole ? std::round(value) : round_digits(value), of.low, of.high);
}

double Parzen::log_one(std::size_t dimension, std::size_t component, double place) const {
  const Dimension& of = *dimensions_[dimension];
  const Kernels& own = kernels_[dimension];
  if (of.listed()) return std::log(own.shares[component][static_cast<std::size_t>(place)]);
  const double mu = own.centre[component], sigma = own.sigma[component];
  const auto standard = [&](double value) { return (value - mu) / sigma; };
  const double inside = std::log(normal_mass(standard(own.low), standard(own.high)));
  if (of.whole) {
    const double mass = normal_mass(standard(scaled(of, place - 0.5)), standard(scaled(of, place + 0.5)));
    // Far out erf has no digits left: next to nothing, not nothing.
    return std::log(std::max(mass, std::numeric_limits<double>::min())) - inside;
  }
  const double z = standard(scaled(of, place));
  return -0.5 * z * z - std::log(sigma * std::sqrt(2 * std::numbers::pi)) - inside;
}

std::vector<double> Parzen::sample(SplitMix& random) const {
  const std::size_t component = pick(weights_, random.unit());
  std::vector<double> out;
  for (std::size_t d = 0; d < dimensions_.size(); ++d) out.push_back(sample_one(d, component, random));
  return out;
}

double Parzen::log_density(const std::vector<double>& places) const {
  std::vector<double> logs;
  for (std::size_t k = 0; k < weights_.size(); ++k) {
    double sum = std::log(weights_[k]);
    for (std::size_t d = 0; d < dimensions_.size(); ++d) sum += log_one(d, k, places[d]);
    logs.push_back(sum);
  }
  const double most = *std::max_element(logs.begin(), logs.end());
  double sum = 0;
  for (const double one : logs) sum += std::exp(one - most);
  return most + std::log(sum);
}

}  // namespace fathom::sweeps
