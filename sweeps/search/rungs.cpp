#include "sweeps/search/rungs.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace fathom::sweeps {

std::vector<std::uint32_t> geometric_rungs(std::uint32_t min, std::uint32_t max, std::uint32_t eta) {
  std::vector<std::uint32_t> rungs;
  // 64 bits: min * eta^k may pass 2^32 in the step that ends the loop.
  const std::uint64_t factor = std::max<std::uint64_t>(eta, 2);
  for (std::uint64_t rung = std::max<std::uint64_t>(min, 1); rung < max; rung *= factor)
    rungs.push_back(static_cast<std::uint32_t>(rung));
  rungs.push_back(max);
  return rungs;
}

std::vector<std::uint32_t> rungs_down(std::uint32_t count, std::uint32_t max, std::uint32_t eta) {
  std::vector<std::uint32_t> rungs;
  std::uint64_t divisor = 1;
  while (rungs.size() < count && divisor <= max) {
    rungs.push_back(static_cast<std::uint32_t>(max / divisor));
    divisor *= std::max(eta, 2U);
  }
  std::reverse(rungs.begin(), rungs.end());
  return rungs;
}

bool has_eta(const StopRule& rule) {
  return rule.method == "asha" || rule.method == "hyperband" || rule.method == "halving";
}

std::vector<std::uint32_t> rungs_of(const StopRule& rule) {
  if (!has_eta(rule) || rule.max == 0 || rule.max == kNoLastStep) return {};
  return rule.rungs > 0 ? rungs_down(rule.rungs, rule.max, rule.eta) : geometric_rungs(rule.min, rule.max, rule.eta);
}

std::vector<std::uint32_t> split_settings(std::uint32_t settings, std::uint32_t eta,
                                          const std::vector<std::uint32_t>& rungs) {
  std::vector<double> weights;
  for (const std::uint32_t count : rungs) weights.push_back(std::pow(eta, count - 1.0) / count);
  const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  std::vector<std::uint32_t> out;
  std::uint32_t given = 0;
  for (const double weight : weights) {
    out.push_back(std::max<std::uint32_t>(static_cast<std::uint32_t>(weight / total * settings), 1));
    given += out.back();
  }
  if (given < settings) out.front() += settings - given;
  return out;
}

std::vector<std::uint32_t> spread(const std::vector<std::uint32_t>& counts) {
  std::vector<std::uint32_t> out, taken(counts.size(), 0);
  const std::uint32_t total = std::accumulate(counts.begin(), counts.end(), 0U);
  while (out.size() < total) {
    std::size_t best = 0;
    // (taken + 1) / count, compared crosswise.
    const auto share = [&](std::size_t i) { return std::uint64_t{taken[i]} + 1; };
    for (std::size_t i = 1; i < counts.size(); ++i) {
      if (counts[best] == 0 || share(i) * counts[best] < share(best) * counts[i]) best = i;
    }
    ++taken[best];
    out.push_back(static_cast<std::uint32_t>(best));
  }
  return out;
}

std::uint32_t kept_of(std::uint32_t entries, std::uint32_t eta, bool round_up) {
  return entries / eta + (round_up && entries % eta != 0 ? 1 : 0);
}

std::vector<Bracket> hyperband_brackets(std::uint32_t min, std::uint32_t max, std::uint32_t eta, bool round_up) {
  std::vector<std::uint64_t> powers = {1};  // eta^0 … eta^s_max, the last one that fits max / min
  while (powers.back() * eta * std::max(min, 1U) <= max) powers.push_back(powers.back() * eta);
  const std::uint64_t s_max = powers.size() - 1;
  std::vector<Bracket> out;
  for (std::uint64_t s = s_max + 1; s-- > 0;) {
    Bracket bracket;
    bracket.first = static_cast<std::uint32_t>(max / powers[s]);
    auto left = static_cast<std::uint32_t>(((s_max + 1) * powers[s] + s) / (s + 1));  // rounded up
    for (std::uint64_t rung = 0; rung <= s; ++rung, left = kept_of(left, eta, round_up))
      bracket.settings.push_back(left);
    out.push_back(std::move(bracket));
  }
  return out;
}

}  // namespace fathom::sweeps
