// The sampler tpe: its densities against slow references, its halves, and that it finds what random draws do not.
#include "sweeps/search/tpe.hpp"

#include <cmath>
#include <map>
#include <numbers>
#include <set>

#include "sweeps/resolve/parameters.hpp"
#include "sweeps/search/parzen.hpp"
#include "sweeps/trial.hpp"
#include "tests/unit/sweeps/support.hpp"

namespace fathom::sweeps {
namespace {

using nlohmann::json;
using testing::file_with;
using testing::planned;

// lr on a log scale, whole numbers, a list, and a parameter that is there for one entry of the list only.
Space conditional(std::uint64_t seed = 1) {
  return Space(json::parse(R"({"seed": )" + std::to_string(seed) + R"(, "startup": 10, "dimensions": [
    {"names": ["adapter.config"], "rows": [["seq_bn"], ["par_bn"], ["double_seq_bn"]]},
    {"names": ["train.lr"], "low": 1e-5, "high": 1e-1, "log": true, "whole": false},
    {"names": ["train.batch"], "low": 1, "high": 8, "log": false, "whole": true},
    {"names": ["adapter.scaling"], "low": 0.5, "high": 4, "log": false, "whole": false}],
    "when": [["adapter.scaling", {"adapter.config": [["in", ["par_bn"]]]}]]})"));
}
const Allowed kAll = [](const json&) { return true; };

// The definition, one sum after the other, nothing shared with the code under test.
double reference_log_density(const Space& space, const std::vector<std::vector<double>>& seen,
                             const std::vector<double>& x) {
  const auto cdf = [](double z) { return 0.5 * std::erfc(-z / std::numbers::sqrt2); };
  const double n = static_cast<double>(seen.size()), d = static_cast<double>(x.size());
  double total = 0, weights = 0;
  for (std::size_t k = 0; k <= seen.size(); ++k) {
    const bool prior = k == seen.size();
    double product = 1;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const Dimension& one = space.dimensions[i];
      if (one.listed()) {
        const double entries = static_cast<double>(one.rows.size());
        const double hit = !prior && seen[k][i] == x[i] ? 1 : 0;
        product *= prior ? 1 / entries : (hit + 1 / (n + 1)) / (1 + entries / (n + 1));
        continue;
      }
      const auto scale = [&](double v) { return one.log ? std::log(v) : v; };
      const double low = scale(one.low - (one.whole ? 0.5 : 0)), high = scale(one.high + (one.whole ? 0.5 : 0));
      double sigma = 0.2 * std::pow(std::max(n, 1.0), -1 / (d + 4)) * (high - low);
      sigma = std::min(high - low, std::max(sigma, (high - low) / std::min(100.0, n + 2)));
      if (prior) sigma = high - low;
      const double mu = prior ? (low + high) / 2 : scale(seen[k][i]);
      const double inside = cdf((high - mu) / sigma) - cdf((low - mu) / sigma);
      const double z = (scale(x[i]) - mu) / sigma;
      product *= one.whole ? (cdf((scale(x[i] + 0.5) - mu) / sigma) - cdf((scale(x[i] - 0.5) - mu) / sigma)) / inside
                           : std::exp(-z * z / 2) / (sigma * std::sqrt(2 * std::numbers::pi) * inside);
    }
    // Of n > 25 observations the first n - 25 weigh from 1 / n to 1.
    double weight = 1;
    if (!prior && n > 25 && static_cast<double>(k) < n - 25)
      weight = n == 26 ? 1 / n : 1 / n + (1 - 1 / n) * static_cast<double>(k) / (n - 26);
    weights += weight;
    total += weight * product;
  }
  return std::log(total / weights);
}

std::vector<const Dimension*> all_of(const Space& space) {
  std::vector<const Dimension*> out;
  for (const Dimension& one : space.dimensions) out.push_back(&one);
  return out;
}

TEST(Tpe, DensitiesEqualTheReference) {
  const Space space = conditional();
  SplitMix random(7);
  for (const std::size_t count : {0u, 1u, 5u, 25u, 26u, 27u, 60u}) {
    std::vector<std::vector<double>> seen;
    for (std::size_t i = 0; i < count; ++i) seen.push_back(space.uniform(random));
    const Parzen made(all_of(space), seen);
    for (int i = 0; i < 50; ++i) {
      const auto x = i % 2 == 0 ? space.uniform(random) : made.sample(random);
      EXPECT_NEAR(made.log_density(x), reference_log_density(space, seen, x), 1e-9) << count;
    }
  }
}

TEST(Tpe, ADensityHasTheMassOne) {
  const Space space(json::parse(R"({"seed": 1, "startup": 1, "when": [], "dimensions": [
    {"names": ["a"], "rows": [[1], [2]]}, {"names": ["b"], "low": 2, "high": 6, "log": true, "whole": true},
    {"names": ["c"], "low": 0, "high": 2, "log": false, "whole": false}]})"));
  const Parzen made(all_of(space), {{0, 2, 0.1}, {1, 6, 1.9}, {0, 3, 0.4}});
  double mass = 0;
  constexpr int kSteps = 4000;
  for (int a = 0; a < 2; ++a) {
    for (int b = 2; b <= 6; ++b) {
      for (int c = 0; c < kSteps; ++c)
        mass += std::exp(made.log_density({1.0 * a, 1.0 * b, 2 * (c + 0.5) / kSteps})) * 2 / kSteps;
    }
  }
  EXPECT_NEAR(mass, 1, 1e-6);
}

// Drawn and computed shares of each entry agree: sampling and density are of one distribution.
TEST(Tpe, SamplesFollowTheDensity) {
  const Space space(json::parse(R"({"seed": 1, "startup": 1, "when": [], "dimensions": [
    {"names": ["a"], "rows": [[1], [2], [3]]}, {"names": ["b"], "low": 1, "high": 6, "log": true, "whole": true}]})"));
  const Parzen made(all_of(space), {{0, 1}, {0, 2}, {2, 6}});
  SplitMix random(3);
  std::map<std::vector<double>, int> counts;
  constexpr int kDraws = 40'000;
  for (int i = 0; i < kDraws; ++i) ++counts[made.sample(random)];
  double chi = 0;
  for (double a = 0; a < 3; ++a) {
    for (double b = 1; b <= 6; ++b) {
      const double expected = kDraws * std::exp(made.log_density({a, b}));
      const double off = counts[{a, b}] - expected;
      chi += off * off / expected;
    }
  }
  EXPECT_LT(chi, 41);  // 17 degrees of freedom: one in a thousand is above
}

Observation ended(double lr, double value, Reached reached = Reached::whole, std::uint32_t epoch = 0) {
  return {{{"train.lr", lr}}, reached, value, epoch};
}

TEST(Tpe, TheGoodHalfIsATenthAndOrderedAsDocumented) {
  std::vector<Observation> seen;
  for (int i = 0; i < 11; ++i) seen.push_back(ended(i, i));
  EXPECT_EQ(split_tpe(Goal::maximize, seen).good.size(), 2u);
  EXPECT_EQ(split_tpe(Goal::maximize, seen).good[0]->value, 9);
  EXPECT_EQ(split_tpe(Goal::minimize, seen).good[1]->value, 1);
  for (int i = 0; i < 300; ++i) seen.push_back(ended(i, 0.5));
  EXPECT_EQ(split_tpe(Goal::maximize, seen).good.size(), 25u);
  // A full run goes before any that was stopped, one that came further before a better value, a diverged one is never
  // good.
  std::vector<Observation> mixed = {ended(1, 9, Reached::part, 1), ended(2, 0.3, Reached::part, 3),
                                    ended(3, NAN, Reached::nothing), ended(4, NAN, Reached::open)};
  EXPECT_EQ(split_tpe(Goal::maximize, mixed).good[0]->point["train.lr"], 2);
  EXPECT_EQ(split_tpe(Goal::maximize, mixed).rest.size(), 3u);
  mixed.push_back(ended(5, 0.1));
  EXPECT_EQ(split_tpe(Goal::maximize, mixed).good[0]->point["train.lr"], 5);
  const std::vector<Observation> lost = {ended(1, NAN, Reached::nothing), ended(2, NAN, Reached::nothing)};
  EXPECT_TRUE(split_tpe(Goal::maximize, lost).good.empty());
}

double quality(const json& point) {
  const double lr = std::log10(point.at("train.lr").get<double>()) + 3.3;
  const double batch = (point.at("train.batch").get<double>() - 6) / 4;
  const bool right = point.at("adapter.config") == "par_bn";
  const double scaling = right ? point.at("adapter.scaling").get<double>() - 1.5 : 1;
  return -lr * lr - batch * batch - (right ? 0 : 1) - scaling * scaling;
}

double best_found(std::uint64_t seed, std::uint32_t trials, std::uint32_t startup, int diverging = 0) {
  Space space = conditional(seed);
  space.startup = startup;
  std::vector<Observation> seen;
  double best = -1e9;
  for (std::uint32_t trial = 0; trial < trials; ++trial) {
    const Drawn drawn = draw_tpe(space, Goal::maximize, trial, seen, kAll);
    EXPECT_EQ(drawn.modelled, trial >= startup);
    EXPECT_EQ(drawn.point.contains("adapter.scaling"), drawn.point.at("adapter.config") == "par_bn");
    const double lr = drawn.point.at("train.lr");
    EXPECT_EQ(number_json(round_digits(lr)), drawn.point.at("train.lr"));
    if (diverging != 0 && lr > 3e-3) {
      seen.push_back({drawn.point, Reached::nothing, std::nan(""), 0});
      continue;
    }
    seen.push_back({drawn.point, Reached::whole, quality(drawn.point), 0});
    best = std::max(best, seen.back().value);
  }
  return best;
}

TEST(Tpe, FindsBetterSettingsThanRandomDraws) {
  int better = 0;
  double sum = 0, random_sum = 0;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const double found = best_found(seed, 60, 10), random = best_found(seed + 1000, 60, 1000);
    better += found > random ? 1 : 0;
    sum += found, random_sum += random;
  }
  EXPECT_GE(better, 33);  // of equal samplers so many in less than one of 10,000 runs
  EXPECT_LT(-sum, 0.5 * -random_sum);
}

TEST(Tpe, DivergedSettingsOnlyTellWhereNotToLook) {
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    const double found = best_found(seed, 60, 10, 1);
    EXPECT_TRUE(std::isfinite(found));
    EXPECT_GT(found, -0.5) << seed;
  }
  const std::vector<Observation> all_lost(20, {{{"train.lr", 0.1}}, Reached::nothing, std::nan(""), 0});
  const Drawn drawn = draw_tpe(conditional(), Goal::maximize, 20, all_lost, kAll);
  EXPECT_TRUE(drawn.point.at("train.lr").is_number());
}

TEST(Tpe, IsAFunctionOfWhatIsKnown) {
  const Space space = conditional();
  std::vector<Observation> seen;
  for (std::uint32_t trial = 0; trial < 12; ++trial) {
    const json point = draw_tpe(space, Goal::maximize, trial, seen, kAll).point;
    EXPECT_EQ(point, draw_tpe(space, Goal::maximize, trial, seen, kAll).point);
    seen.push_back({point, Reached::whole, quality(point), 0});
  }
  const json with = draw_tpe(space, Goal::maximize, 12, seen, kAll).point;
  seen[3].value += 10;
  EXPECT_NE(draw_tpe(space, Goal::maximize, 12, seen, kAll).point, with);
}

TEST(Tpe, NothingIsDrawnTwiceWhileThereIsMore) {
  const Space space(json::parse(R"({"seed": 1, "startup": 3, "when": [], "dimensions": [
    {"names": ["train.lr"], "rows": [[0.1], [0.2], [0.3], [0.4]]}, {"names": ["train.batch"], "rows": [[1], [2]]}]})"));
  std::vector<Observation> seen;
  std::set<std::string> points;
  for (std::uint32_t trial = 0; trial < 10; ++trial) {
    const json point = draw_tpe(space, Goal::maximize, trial, seen, kAll).point;
    points.insert(point.dump());
    seen.push_back({point, Reached::whole, 0.5, 0});
    EXPECT_EQ(points.size(), std::min<std::size_t>(trial + 1, 8));
  }
}

TEST(Tpe, DimensionsThatAreThereTogetherAreOne) {
  const double none = std::nan("");
  EXPECT_EQ(joint_dimensions({{1, 2, none, 3}, {1, none, 2, none}}, 4),
            (std::vector<std::vector<std::size_t>>{{0}, {1, 3}, {2}}));
  EXPECT_EQ(joint_dimensions({}, 2), (std::vector<std::vector<std::size_t>>{{0, 1}}));
}

const char* const kFile =
    "search: {sampler: tpe, trials: 6, seed: 3, startup: 4}\nseeds: [1, 2]\n"
    "parameters: {lr: {min: 1e-5, max: 1e-3, scale: log}, config: [seq_bn, par_bn],\n"
    "  reduction: {min: 2, max: 32, when: {config: par_bn}}}\n"
    "exclude: [{task: a, config: par_bn}]\nstages: {adapter: {}}\n";

TEST(Tpe, APlanHasItsTrialsWithoutPoints) {
  const Plan plan = planned(file_with(kFile));
  ASSERT_EQ(plan.jobs.size(), 2u * 6 * 2);
  ASSERT_EQ(plan.searches.size(), 2u);  // one for each task
  EXPECT_EQ(plan.searches[1].trials.at(2), (std::vector<JobIndex>{16, 17}));
  std::set<JobId> ids;
  for (const Job& job : plan.jobs) {
    ids.insert(job.id);
    EXPECT_TRUE(job.parameters.empty());
    EXPECT_FALSE(job.settings.member("train").contains("lr"));
    EXPECT_EQ(job.settings.member("trial"), job.trial);
  }
  EXPECT_EQ(ids.size(), plan.jobs.size());
  // More trials keep the ids of the earlier ones; another seed of the sampler is another search.
  ParseOptions more;
  more.set = {"search.trials=9"};
  EXPECT_EQ(planned(file_with(kFile), more).jobs[3].id, plan.jobs[3].id);
  more.set = {"search.seed=4"};
  EXPECT_NE(planned(file_with(kFile), more).jobs[3].id, plan.jobs[3].id);
}

TEST(Tpe, WarmupFromOneOnIsDrawnInWholeSteps) {
  const Plan plan =
      planned(file_with("search: {sampler: tpe, trials: 30, startup: 5}\nparameters: {warmup: {min: 1, max: 500}}\n"
                        "stages: {adapter: {}}\n"));
  ASSERT_FALSE(plan.searches.empty());
  std::vector<Observation> seen;
  int modelled = 0;
  for (std::uint32_t trial = 0; trial < 30; ++trial) {
    const Drawn drawn = draw_tpe(*plan.searches[0].space, Goal::maximize, trial, seen, kAll);
    modelled += drawn.modelled ? 1 : 0;
    EXPECT_TRUE(drawn.point.at("train.warmup").is_number_integer()) << drawn.point;
    seen.push_back({drawn.point, Reached::whole, -std::fabs(drawn.point.at("train.warmup").get<double>() - 60), 0});
  }
  EXPECT_GT(modelled, 20);
}

TEST(Tpe, ADrawnJobHasTheSettingsOfAListedOne) {
  const Plan plan = planned(file_with(kFile));
  bool modelled = true;
  for (const JobIndex index : {0u, 12u, 16u, 20u}) {
    const json point = draw_point(plan, plan.jobs[index], {}, modelled);
    EXPECT_FALSE(modelled);
    // exclude
    EXPECT_TRUE(plan.jobs[index].task == "b" || point.at("adapter.config") == "seq_bn");
    std::string listed = "seeds: [1, 2]\nparameters: {lr: [" + point.at("train.lr").dump() + "], config: [" +
                         point.at("adapter.config").get<std::string>() + "]";
    if (point.contains("adapter.reduction")) listed += ", reduction: [" + point.at("adapter.reduction").dump() + "]";
    const Plan grid = planned(file_with(listed + "}\nstages: {adapter: {}}\n"));
    const Job drawn = drawn_job(plan.jobs[index], point);
    const Job& like = grid.jobs[(plan.jobs[index].task == "a" ? 0 : 2) + (plan.jobs[index].seed - 1)];
    if (point.contains("adapter.reduction")) {
      EXPECT_EQ(drawn.settings.canonical(), like.settings.canonical());
    } else {
      // A parameter that `when` takes out is absent, where a file without it has the default.
      json without = like.settings.whole();
      without["adapter"].erase("reduction_factor");
      EXPECT_EQ(drawn.settings.whole(), without);
    }
    EXPECT_EQ(drawn.epochs, like.epochs);
  }
}

TEST(Tpe, WhatCannotBeDrawnIsAnError) {
  const auto mistakes = [](const std::string& rest) { return testing::rendered(parse(file_with(rest), {})); };
  EXPECT_NE(mistakes("search: {sampler: tpe}\nstages: {adapter: {}}\n").find("tpe needs 'trials'"), std::string::npos);
  EXPECT_NE(mistakes("search: {sampler: random, trials: 3, startup: 2}\nstages: {adapter: {}}\n").find("startup"),
            std::string::npos);
  EXPECT_NE(mistakes("search: {sampler: tpe, trials: 3}\nparameters: {lr: [0.1, 0.2]}\nexclude: [{lr: [0.1, 0.2]}]\n"
                     "stages: {adapter: {}}\n")
                .find("leaves no point"),
            std::string::npos);
  // Nothing to draw is one job, as with the other samplers.
  EXPECT_EQ(planned(file_with("search: {sampler: tpe, trials: 3}\nstages: {adapter: {}}\n")).jobs.size(), 2u);
}

}  // namespace
}  // namespace fathom::sweeps
