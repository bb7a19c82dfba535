// The stopping methods that do not pause against models of the sentences of docs/sweeps.md ("Early stopping"), written
// for reading: everything that was reported is looked through again for each verdict.
#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <random>
#include <set>

#include <gtest/gtest.h>

#include "sweeps/search/stopper.hpp"

namespace fathom::sweeps {
namespace {

using Entry = Stopper::Entry;
using Random = std::mt19937;

bool as_good(Goal goal, double a, double b) { return goal == Goal::maximize ? a >= b : a <= b; }

// ---------------------------------------------------------------- rungs
struct SlowRungs {
  SlowRungs(StopRule stop, Goal which_way, std::size_t settings) : rule(std::move(stop)), goal(which_way) {
    std::vector<std::uint32_t> all;
    if (rule.rungs > 0) {
      for (std::uint32_t at = rule.max; at > 0 && all.size() < rule.rungs; at /= rule.eta) all.insert(all.begin(), at);
    } else {
      for (std::uint32_t at = rule.min; at < rule.max; at *= rule.eta) all.push_back(at);
      all.push_back(rule.max);
    }
    const std::size_t asked = rule.method == "hyperband" ? all.size() : rule.brackets;
    while (!all.empty() && brackets.size() < asked) brackets.push_back(all), all.erase(all.begin());
    spread_over(settings);
  }

  // Shares of the settings as docs/sweeps.md says. The k-th of the c settings of a bracket stands at k / c of the file.
  void spread_over(std::size_t settings) {
    std::vector<double> weights;
    for (const auto& rungs : brackets) {
      const auto count = static_cast<double>(rungs.size());
      weights.push_back(std::pow(rule.eta, count - 1) / count);
    }
    const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
    std::vector<std::size_t> shares;
    for (const double weight : weights)
      shares.push_back(std::max<std::size_t>(
          1, static_cast<std::size_t>(std::floor(weight / total * static_cast<double>(settings)))));
    const std::size_t given = std::accumulate(shares.begin(), shares.end(), std::size_t{0});
    if (given < settings) shares[0] += settings - given;
    std::vector<std::pair<double, std::size_t>> places;
    for (std::size_t i = 0; i < shares.size(); ++i) {
      for (std::size_t k = 1; k <= shares[i]; ++k)
        places.emplace_back(static_cast<double>(k) / static_cast<double>(shares[i]), i);
    }
    std::sort(places.begin(), places.end());
    for (JobIndex job = 0; job < settings; ++job) bracket_of[job] = places[job].second;
  }

  // Places in `arrivals` of what has come to a rung of a bracket.
  std::vector<std::size_t> at(std::size_t bracket, std::uint32_t rung) const {
    std::vector<std::size_t> out;
    for (std::size_t i = 0; i < arrivals.size(); ++i) {
      if (arrivals[i].rung == rung && bracket_of.at(arrivals[i].job) == bracket) out.push_back(i);
    }
    return out;
  }

  // max(1, floor(n / eta)) go on: by value, equal ones by arrival, and with `ties: continue` those equal to the last.
  bool goes_on(std::vector<std::size_t> there, std::size_t one) const {
    std::ranges::stable_sort(
        there, [&](std::size_t a, std::size_t b) { return !as_good(goal, arrivals[b].value, arrivals[a].value); });
    const std::size_t keep = std::max<std::size_t>(1, there.size() / rule.eta);
    if (rule.ties_continue) return as_good(goal, arrivals[one].value, arrivals[there[keep - 1]].value);
    return std::ranges::find(there, one) - there.begin() < static_cast<std::ptrdiff_t>(keep);
  }

  std::vector<Entry> report(JobIndex job, std::uint32_t epoch, double value) {
    std::vector<Entry> news;
    const std::size_t bracket = bracket_of.at(job);
    const auto& rungs = brackets[bracket];
    for (std::uint32_t rung = 0; rung < rungs.size() && rungs[rung] <= epoch; ++rung) {
      const auto before = at(bracket, rung);
      const bool entered = std::ranges::any_of(before, [&](std::size_t i) { return arrivals[i].job == job; });
      if (entered || stopped.contains(job)) continue;
      arrivals.push_back({job, rung, value, true, false});
      auto there = before;
      there.push_back(arrivals.size() - 1);
      if (rung + 1 == rungs.size()) {
        ended.insert(job);
        news.push_back(arrivals.back());
        continue;
      }
      if (there.size() < rule.bootstrap) {
        arrivals.back().held = true;
        news.push_back(arrivals.back());
        continue;
      }
      // The newest first, then those that were held, in order of arrival.
      std::ranges::rotate(there, there.end() - 1);
      for (const std::size_t i : there) {
        Entry& one = arrivals[i];
        if (i + 1 != arrivals.size() && !one.held) continue;
        const bool over = stopped.contains(one.job) || ended.contains(one.job);
        one.keep_going = (one.held && over) || goes_on(at(bracket, rung), i);
        one.held = false;
        if (!one.keep_going) stopped.insert(one.job);
        news.push_back(one);
      }
    }
    return news;
  }

  StopRule rule;
  Goal goal;
  std::vector<std::vector<std::uint32_t>> brackets;  // rungs in epochs
  std::map<JobIndex, std::size_t> bracket_of;
  std::vector<Entry> arrivals;  // in order
  std::set<JobIndex> stopped, ended;
};

StopRule random_rungs(Random& random, const std::string& method) {
  StopRule rule;
  rule.method = method;
  rule.max = 1 + random() % 30;
  rule.min = 1 + random() % 3;
  rule.eta = 2 + random() % 3;
  if (random() % 3 == 0) rule.rungs = 1 + random() % 4, rule.min = 1;
  if (method == "asha") rule.brackets = 1 + random() % 3;
  rule.bootstrap = random() % 2 == 0 ? 0 : random() % 6;
  rule.ties_continue = random() % 2 == 0;
  return rule;
}

struct Verdicts {
  std::size_t stopped = 0, given_later = 0, stopped_later = 0, later_tie_went_on = 0;
};

// Settings report in a random order, may skip epochs, and have few values, so that many are equal.
void race(Random& random, const StopRule& rule, Verdicts& seen) {
  const Goal goal = random() % 2 == 0 ? Goal::maximize : Goal::minimize;
  const JobIndex settings = 1 + random() % 30;
  std::vector<JobIndex> all(settings);
  std::iota(all.begin(), all.end(), 0U);
  Stopper stopper(rule, goal);
  stopper.admit(all);
  SlowRungs model(rule, goal, settings);
  std::vector<std::uint32_t> at(settings, 0);
  for (int i = 0; i < 200; ++i) {
    const JobIndex job = random() % settings;
    at[job] = std::min<std::uint32_t>(rule.max, at[job] + 1 + random() % 4);
    const double value = static_cast<double>(random() % 5);
    const auto expected = model.report(job, at[job], value);
    ASSERT_EQ(stopper.rungs(job), model.brackets[model.bracket_of[job]]);
    ASSERT_EQ(stopper.report(job, at[job], value), expected)
        << describe(rule) << ", max " << rule.max << ", bootstrap " << rule.bootstrap << ", report " << i;
    for (const Entry& entry : expected) {
      const bool later = entry.job != job;
      seen.stopped += entry.keep_going ? 0 : 1;
      seen.given_later += later ? 1 : 0;
      seen.stopped_later += later && !entry.keep_going ? 1 : 0;
      seen.later_tie_went_on += later && entry.keep_going && entry.value == value ? 1 : 0;
    }
  }
}

TEST(SlowModels, AshaWithBracketsBootstrapAndTies) {
  Random random(101);
  Verdicts seen;
  for (int round = 0; round < 400; ++round) race(random, random_rungs(random, "asha"), seen);
  EXPECT_GT(seen.stopped, 1000u);
  EXPECT_GT(seen.given_later, 300u);
  EXPECT_GT(seen.stopped_later, 100u);
  EXPECT_GT(seen.later_tie_went_on, 10u);
}

TEST(SlowModels, HyperbandWithBootstrapAndTies) {
  Random random(103);
  Verdicts seen;
  for (int round = 0; round < 400; ++round) race(random, random_rungs(random, "hyperband"), seen);
  EXPECT_GT(seen.stopped, 1000u);
  EXPECT_GT(seen.given_later, 200u);
}

// The first of equal ones takes the place, also where verdicts were held until all were there.
TEST(SlowModels, TiesFirstWithBootstrapLetsTheFirstArrivalGoOn) {
  StopRule rule;
  rule.max = 9;
  rule.eta = 3;
  rule.bootstrap = 3;
  rule.ties_continue = false;
  Stopper stopper(rule, Goal::maximize);
  EXPECT_TRUE(stopper.report(0, 1, 0.5).front().held);
  EXPECT_TRUE(stopper.report(1, 1, 0.5).front().held);
  const auto all = stopper.report(2, 1, 0.5);
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0], (Entry{2, 0, 0.5, false, false}));
  EXPECT_EQ(all[1], (Entry{0, 0, 0.5, true, false}));
  EXPECT_EQ(all[2], (Entry{1, 0, 0.5, false, false}));
}

// ---------------------------------------------------------------- curves
// Values are multiples of 60 and budgets at most 6, so that means and quartiles are exact.
struct SlowCurves {
  struct Setting {
    std::map<std::uint32_t, double> at;  // by epoch
    bool completed = false, stopped = false, out = false;
  };
  StopRule rule;
  Goal goal;
  std::map<JobIndex, Setting> settings;

  bool counts(std::uint32_t epoch) const {
    if (epoch == rule.max || !rule.by_step) return true;
    return epoch >= rule.min && (epoch - rule.min) % rule.every == 0;
  }
  std::vector<double> values_to(const Setting& one, std::uint32_t epoch) const {
    std::vector<double> out;
    for (const auto& [at, value] : one.at) {
      if (at <= epoch) out.push_back(value);
    }
    return out;
  }
  // What is compared with: of the median running averages, of the percentile the values at that epoch.
  std::vector<double> of_others(JobIndex job, std::uint32_t epoch) const {
    std::vector<double> out;
    for (const auto& [other, one] : settings) {
      if (other == job || one.out || one.at.empty()) continue;
      const bool there = one.at.contains(epoch);
      if (rule.method == "percentile") {
        if (there && (one.completed || rule.among_all)) out.push_back(one.at.at(epoch));
        continue;
      }
      if (!one.completed && !(rule.among_all && there)) continue;
      auto values = values_to(one, epoch);
      if (rule.window != 0 && rule.window < values.size()) values.erase(values.begin(), values.end() - rule.window);
      out.push_back(std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size()));
    }
    return out;
  }
  bool is_behind(JobIndex job, std::uint32_t epoch) {
    auto others = of_others(job, epoch);
    if (others.size() < rule.startup) return false;
    // The best first, so that the share of the best counts from the front.
    std::ranges::sort(others, [&](double a, double b) { return !as_good(goal, b, a); });
    const double place = (rule.method == "median" ? 0.5 : rule.percentile / 100) * (others.size() - 1.0);
    const double low = others[static_cast<std::size_t>(std::floor(place))];
    const double high = others[static_cast<std::size_t>(std::ceil(place))];
    const double cut = low * (1 - (place - std::floor(place))) + high * (place - std::floor(place));
    const auto own = values_to(settings[job], epoch);
    return std::ranges::none_of(own, [&](double value) { return as_good(goal, value, cut); });
  }
  bool without_progress(JobIndex job, std::uint32_t epoch) {
    const auto own = values_to(settings[job], epoch);
    std::size_t last = 0;
    for (std::size_t i = 1; i < own.size(); ++i) {
      const double gain = goal == Goal::maximize ? own[i] - own[last] : own[last] - own[i];
      if (gain > rule.min_delta) last = i;
    }
    return own.size() - 1 - last >= rule.patience;
  }
  bool stops(JobIndex job, std::uint32_t epoch) {
    if (epoch == rule.max || epoch < rule.min || (epoch - rule.min) % rule.every != 0) return false;
    const double value = settings[job].at.at(epoch);
    if (rule.method == "threshold") return (rule.lower && value < *rule.lower) || (rule.upper && value > *rule.upper);
    return rule.method == "patience" ? without_progress(job, epoch) : is_behind(job, epoch);
  }
  // Epochs that the setting enters, and whether it goes on.
  std::vector<std::pair<std::uint32_t, bool>> report(JobIndex job, std::uint32_t epoch, double value) {
    std::vector<std::pair<std::uint32_t, bool>> out;
    Setting& own = settings[job];
    for (std::uint32_t at = 1; at <= epoch && !own.stopped; ++at) {
      if (!counts(at) || own.at.contains(at)) continue;
      own.at[at] = value;
      own.completed = own.completed || at == rule.max;
      own.stopped = stops(job, at);
      out.emplace_back(at, !own.stopped);
    }
    return out;
  }
};

StopRule random_curves(Random& random, const std::string& method) {
  StopRule rule;
  rule.method = method;
  rule.max = 1 + random() % 6;
  rule.min = 1 + random() % 3;
  rule.every = 1 + random() % 3;
  rule.startup = 1 + random() % 3;
  rule.among_all = random() % 2 == 0;
  rule.window = random() % 2 == 0 ? 0 : 1 + random() % 4;
  rule.percentile = 25.0 * (1 + random() % 3);
  if (random() % 3 != 0) rule.lower = 60.0 * (random() % 4);
  if (!rule.lower || random() % 2 == 0) rule.upper = 60.0 * (4 + random() % 4);
  rule.patience = 1 + random() % 3;
  rule.min_delta = std::vector<double>{0, 60, 90}[random() % 3];
  rule.by_step = random() % 4 == 0 && rule.min < rule.max;
  return rule;
}

// Settings end before their last epoch, fail and come back, at random. How many stops there were.
std::size_t curves(Random& random, const StopRule& rule) {
  const Goal goal = random() % 2 == 0 ? Goal::maximize : Goal::minimize;
  Stopper stopper(rule, goal);
  SlowCurves model{rule, goal, {}};
  std::vector<std::uint32_t> at(12, 0);
  std::size_t stops = 0;
  for (int i = 0; i < 90; ++i) {
    const JobIndex job = random() % at.size();
    auto& own = model.settings[job];
    const auto chance = random() % 30;
    if (chance == 0) own.out ? stopper.readmit(job) : stopper.withdraw(job), own.out = !own.out;
    if (own.out || own.completed) continue;
    if (chance == 1 && !own.stopped && !own.at.empty()) {
      stopper.complete(job), own.completed = true;
      continue;
    }
    at[job] = std::min<std::uint32_t>(rule.max, at[job] + 1 + (random() % 4 == 0 ? 1 : 0));
    const double value = 60.0 * (random() % 9);
    std::vector<std::pair<std::uint32_t, bool>> got;
    for (const Entry& entry : stopper.report(job, at[job], value)) {
      got.emplace_back(stopper.rungs(job)[entry.rung], entry.keep_going);
      stops += entry.keep_going ? 0 : 1;
    }
    const auto expected = model.report(job, at[job], value);
    EXPECT_EQ(got, expected) << describe(rule) << ", max " << rule.max << ", report " << i;
    if (got != expected) break;
  }
  return stops;
}

struct SlowCurvesOf : ::testing::TestWithParam<const char*> {};

TEST_P(SlowCurvesOf, AreJudgedTheSame) {
  Random random(107);
  std::size_t stops = 0;
  for (int round = 0; round < 400 && !HasFailure(); ++round) stops += curves(random, random_curves(random, GetParam()));
  EXPECT_GT(stops, 400u);
}

INSTANTIATE_TEST_SUITE_P(SlowModels, SlowCurvesOf, ::testing::Values("median", "percentile", "threshold", "patience"));

}  // namespace
}  // namespace fathom::sweeps
