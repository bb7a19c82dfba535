// Methods that pause: the vectors of the reference, and both against slow models on whole races of settings for slots.
#include "sweeps/search/stopper.hpp"

#include <algorithm>
#include <cmath>
#include <deque>
#include <map>
#include <numeric>
#include <random>
#include <set>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "sweeps/search/rungs.hpp"
#include "sweeps/search/verdicts.hpp"

namespace fathom::sweeps {
namespace {

using ::testing::ElementsAre;
using Numbers = std::vector<std::uint32_t>;

StopRule rule(const std::string& method, std::uint32_t max, std::uint32_t eta) {
  StopRule out;
  out.method = method == "promote" ? "asha" : method;
  out.promote = method == "promote";
  out.max = max;
  out.eta = eta;
  return out;
}

std::vector<JobIndex> settings_of(std::size_t count) {
  std::vector<JobIndex> out(count);
  std::iota(out.begin(), out.end(), 0U);
  return out;
}

// Settings that were let go on, in order.
std::vector<JobIndex> promoted(const std::vector<Stopper::Entry>& entries) {
  std::vector<JobIndex> out;
  for (const auto& entry : entries) {
    if (!entry.held && entry.keep_going) out.push_back(entry.job);
  }
  return out;
}

TEST(Brackets, Vector18HyperbandRoundedUp) {
  const auto brackets = hyperband_brackets(1, 81, 3, true);
  EXPECT_EQ(brackets[0].settings, (Numbers{81, 27, 9, 3, 1}));
  EXPECT_EQ(brackets[1].settings, (Numbers{34, 12, 4, 2}));
  EXPECT_EQ(brackets[2].settings, (Numbers{15, 5, 2}));
  EXPECT_EQ(brackets[3].settings, (Numbers{8, 3}));
  EXPECT_EQ(brackets[4].settings, (Numbers{5}));
}

// The paper's rule: .40 at n = 3, .41 at n = 6, nothing else.
TEST(AshaPromote, Vector21) {
  Stopper stopper(rule("promote", 9, 3), Goal::minimize);
  stopper.admit(settings_of(12));
  const double arrivals[] = {.50, .40, .45, .42, .60, .41};
  std::vector<std::vector<JobIndex>> at;
  for (JobIndex i = 0; i < 6; ++i) at.push_back(promoted(stopper.report(i, 1, arrivals[i])));
  EXPECT_THAT(at,
              ElementsAre(ElementsAre(), ElementsAre(), ElementsAre(1), ElementsAre(), ElementsAre(), ElementsAre(5)));
}

TEST(AshaPromote, NothingIsStoppedWhileAnythingRuns) {
  Stopper stopper(rule("promote", 3, 3), Goal::maximize);
  stopper.admit(settings_of(4));
  for (JobIndex i = 0; i < 3; ++i) {
    for (const auto& entry : stopper.report(i, 1, 0.1 * i)) EXPECT_TRUE(entry.keep_going);
  }
  // 2 was promoted at n = 3 and is at its end; 3 comes in last. Then nothing runs, and 0, 1 and 3 are over.
  EXPECT_EQ(stopper.report(2, 3, 0.9).size(), 1u);
  const auto last = stopper.report(3, 1, 0.0);
  ASSERT_EQ(last.size(), 4u);
  EXPECT_TRUE(last[0].held);
  for (std::size_t i = 1; i < 4; ++i) EXPECT_FALSE(last[i].keep_going);
  EXPECT_TRUE(stopper.overdue().empty());
}

TEST(AshaPromote, OneSettingReachesTheFullBudgetHoweverFewThereAre) {
  Stopper stopper(rule("promote", 9, 4), Goal::maximize);
  stopper.admit(settings_of(2));
  EXPECT_TRUE(promoted(stopper.report(0, 1, 0.5)).empty());
  EXPECT_THAT(promoted(stopper.report(1, 1, 0.6)), ElementsAre(1));  // two of four entries, but nothing else will come
  EXPECT_THAT(promoted(stopper.report(1, 4, 0.6)), ElementsAre(1));  // alone at the second rung
  const auto end = stopper.report(1, 9, 0.7);
  EXPECT_EQ(end.back(), (Stopper::Entry{0, 0, 0.5, false, false}));
}

TEST(AshaPromote, AFailedSettingCountsAsTheWorst) {
  Stopper stopper(rule("promote", 9, 3), Goal::maximize);
  stopper.admit(settings_of(4));
  for (JobIndex i = 0; i < 3; ++i) stopper.report(i, 1, 0.1 * (i + 1));
  stopper.withdraw(2);  // promoted, and it diverged
  EXPECT_THAT(promoted(stopper.overdue()), ElementsAre(1));
}

TEST(Halving, ARungIsDecidedWhenAllHaveCome) {
  Stopper stopper(rule("halving", 4, 2), Goal::maximize);
  stopper.admit(settings_of(5));
  for (JobIndex i = 0; i < 4; ++i) EXPECT_EQ(stopper.report(i, 1, 0.1 * i).size(), 1u);
  EXPECT_TRUE(stopper.overdue().empty());
  stopper.withdraw(4);  // it diverged: nobody else is to come
  EXPECT_THAT(promoted(stopper.overdue()), ElementsAre(3, 2));
  EXPECT_EQ(stopper.overdue().size(), 4u);
}

TEST(Halving, RoundsAsAsked) {
  for (const bool up : {false, true}) {
    StopRule stop = rule("halving", 3, 3);
    stop.round_up = up;
    Stopper stopper(stop, Goal::minimize);
    stopper.admit(settings_of(5));
    std::vector<JobIndex> go;
    for (JobIndex i = 0; i < 5; ++i) go = promoted(stopper.report(i, 1, 0.1 * i));
    EXPECT_EQ(go, up ? (std::vector<JobIndex>{0, 1}) : std::vector<JobIndex>{0});
  }
}

TEST(Pausing, ARestingSettingEntersNothing) {
  for (const char* method : {"promote", "halving"}) {
    Stopper stopper(rule(method, 9, 3), Goal::maximize);
    stopper.admit(settings_of(3));
    EXPECT_EQ(stopper.report(0, 1, 0.5).size(), 1u);
    EXPECT_TRUE(stopper.report(0, 3, 0.9).empty()) << method;
    EXPECT_TRUE(stopper.report(1, 5, std::nan("")).empty()) << method;
  }
}

TEST(Pausing, SaysWhyASettingRests) {
  Stopper stopper(rule("promote", 9, 3), Goal::maximize);
  EXPECT_EQ(describe_rest(stopper, 0, 1), "paused at rung 2 of 3 (epoch 3), waits for promotion");
  EXPECT_EQ(describe(rule("promote", 9, 3)), "asha that promotes, eta 3, rungs at epoch 1, 3 of 9");
}

// ---------------------------------------------------------------- races
// Settings with curves of their own on a few slots, as the coordinator runs them: promoted ones before fresh ones, in
// a random order of epochs; some break.
struct Race {
  Race(Stopper& object, std::mt19937& numbers, std::size_t settings, std::size_t slot_count)
      : stopper(object), random(numbers), slots(slot_count) {
    const auto all = settings_of(settings);
    stopper.admit(all);
    for (const JobIndex one : all) fresh.push_back(one);
    for (std::size_t i = 0; i < settings; ++i) {
      std::vector<double> curve;
      for (std::uint32_t epoch = 0; epoch < stopper.rule().max; ++epoch) curve.push_back(random() % 9);
      curves.push_back(curve);
      at.push_back(0);
    }
  }
  void take(const std::vector<Stopper::Entry>& entries) {
    for (const auto& entry : entries) {
      log.push_back(entry);
      if (entry.held) {
        resting.insert(entry.job), running.erase(entry.job);
      } else if (resting.erase(entry.job) != 0 && entry.keep_going) {
        promoted.push_back(entry.job);
      } else if (!entry.keep_going) {
        running.erase(entry.job);
      }
    }
  }
  void end(JobIndex job, bool broken) {
    running.erase(job);
    broken ? stopper.withdraw(job) : stopper.complete(job);
    for (auto due = stopper.overdue(); !due.empty(); due = stopper.overdue()) {
      for (const auto& entry : due) stopper.restore(entry);
      take(due);
    }
  }
  bool step(unsigned broken_of_100) {
    while (running.size() < slots && !(promoted.empty() && fresh.empty())) {
      auto& queue = promoted.empty() ? fresh : promoted;
      running.insert(queue.front()), queue.pop_front();
    }
    if (running.empty()) return false;
    auto chosen = running.begin();
    std::advance(chosen, random() % running.size());
    const JobIndex job = *chosen;
    if (random() % 100 < broken_of_100) return end(job, true), true;
    const double value = curves[job][at[job]++];
    take(stopper.report(job, at[job], value));
    if (at[job] == stopper.rule().max) end(job, false);
    return true;
  }

  Stopper& stopper;
  std::mt19937& random;
  std::size_t slots;
  std::vector<std::vector<double>> curves;
  std::vector<std::uint32_t> at;
  std::deque<JobIndex> fresh, promoted;
  std::set<JobIndex> running, resting;
  std::vector<Stopper::Entry> log;
};

StopRule random_rule(std::mt19937& random, const char* method) {
  StopRule stop = rule(method, 1 + random() % 9, 2 + random() % 3);
  stop.round_up = !stop.promote && random() % 2 == 0;
  return stop;
}

TEST(PausingProperty, EveryRaceEndsAndOneSettingHasTheFullBudget) {
  std::mt19937 random(17);
  for (int round = 0; round < 400; ++round) {
    StopRule stop = random_rule(random, round % 2 == 0 ? "promote" : "halving");
    stop.brackets = 1 + random() % 2;
    Stopper stopper(stop, Goal::maximize);
    Race race(stopper, random, 1 + random() % 20, 1 + random() % 4);
    const unsigned broken = round % 3 == 0 ? 5 : 0;
    while (race.step(broken)) {
    }
    EXPECT_TRUE(race.resting.empty()) << "round " << round;
    EXPECT_TRUE(stopper.overdue().empty());
    const auto whole = std::ranges::count_if(race.at, [&](std::uint32_t epochs) { return epochs == stop.max; });
    EXPECT_GE(whole, broken == 0 ? 1 : 0) << "round " << round;
  }
}

// Algorithm 2 of the paper, written for reading: whenever a worker is free, from the top rung down, the best of the
// first floor(n / eta) of a rung that has not been promoted. A worker is free whenever a setting has come to a rung.
struct SlowPromotion {
  std::uint32_t eta;
  std::map<std::uint32_t, std::vector<std::pair<double, JobIndex>>> rungs;  // in order of arrival
  std::map<std::uint32_t, std::set<JobIndex>> promoted;

  std::vector<JobIndex> arrive(std::uint32_t rung, JobIndex job, double value) {
    rungs[rung].push_back({value, job});
    std::vector<JobIndex> out;
    for (auto at = rungs.rbegin(); at != rungs.rend(); ++at) {
      auto order = at->second;
      std::ranges::stable_sort(order, [](const auto& a, const auto& b) { return a.first > b.first; });
      for (std::size_t i = 0; i < order.size() / eta; ++i) {
        if (promoted[at->first].insert(order[i].second).second) out.push_back(order[i].second);
      }
    }
    return out;
  }
};

TEST(PausingProperty, PromotionsEqualTheSlowModelWhileSettingsAreToCome) {
  std::mt19937 random(23);
  std::size_t promotions = 0;
  for (int round = 0; round < 200; ++round) {
    Stopper stopper(rule("promote", 9, 2 + random() % 3), Goal::maximize);
    Race race(stopper, random, 12 + random() % 30, 1 + random() % 4);
    SlowPromotion slow{stopper.rule().eta, {}, {}};
    while (race.fresh.size() > race.slots && race.step(0)) {
      std::vector<JobIndex> expected, got;
      for (const auto& entry : race.log) {
        if (entry.rung + 1 == stopper.rungs(entry.job).size()) continue;  // the full budget
        if (entry.held) {
          const auto more = slow.arrive(entry.rung, entry.job, entry.value);
          expected.insert(expected.end(), more.begin(), more.end());
        } else {
          got.push_back(entry.job);
          EXPECT_TRUE(entry.keep_going);
        }
      }
      race.log.clear();
      ASSERT_EQ(got, expected) << "round " << round;
      promotions += got.size();
    }
  }
  EXPECT_GT(promotions, 500u);
}

// Bracket by bracket and rung by rung, all settings that are left: the best of them by value at the rung, equal ones by
// the order in which they came to it.
std::set<JobIndex> slow_halving(const Race& race, const StopRule& stop, std::set<JobIndex> left) {
  const Numbers rungs = race.stopper.rungs(*left.begin());
  for (std::uint32_t rung = 0; rung + 1 < rungs.size(); ++rung) {
    std::vector<JobIndex> order;
    for (const auto& entry : race.log) {
      if (race.stopper.rungs(entry.job)[entry.rung] == rungs[rung] && entry.held && left.contains(entry.job))
        order.push_back(entry.job);
    }
    EXPECT_EQ(order.size(), left.size());
    std::ranges::stable_sort(order, {}, [&](JobIndex i) { return race.curves[i][rungs[rung] - 1]; });
    const double share = static_cast<double>(order.size()) / stop.eta;
    order.resize(std::max<std::size_t>(1, static_cast<std::size_t>(stop.round_up ? std::ceil(share) : share)));
    left = {order.begin(), order.end()};
  }
  return left;
}

TEST(PausingProperty, HalvingEqualsTheSlowModelWhateverTheOrder) {
  std::mt19937 random(29);
  for (int round = 0; round < 200 && !testing::Test::HasFailure(); ++round) {
    StopRule stop = random_rule(random, "halving");
    stop.brackets = 1 + random() % 3;
    Stopper stopper(stop, Goal::minimize);
    Race race(stopper, random, 1 + random() % 30, 1 + random() % 6);
    while (race.step(0)) {
    }
    std::map<std::size_t, std::set<JobIndex>> brackets;
    for (JobIndex i = 0; i < race.curves.size(); ++i) brackets[stopper.rungs(i).size()].insert(i);
    for (const auto& [length, settings] : brackets) {
      const auto left = slow_halving(race, stop, settings);
      for (const JobIndex i : settings) EXPECT_EQ(race.at[i] == stop.max, left.contains(i)) << "round " << round;
    }
  }
}

TEST(PausingProperty, AnySnapshotGoesOnAsIfNothingHadHappened) {
  std::mt19937 random(31);
  for (int round = 0; round < 60; ++round) {
    const StopRule stop = random_rule(random, round % 2 == 0 ? "promote" : "halving");
    const auto seed = random();
    std::vector<Stopper::Entry> logs[2];
    for (const bool restarts : {false, true}) {
      std::mt19937 own(seed);
      std::mt19937 when(round);
      Stopper stopper(stop, Goal::maximize);
      Race race(stopper, own, 12, 3);
      do {
        if (restarts && when() % 4 == 0)
          stopper = Stopper::from_snapshot(stop, Goal::maximize, nlohmann::json::parse(stopper.snapshot().dump()));
      } while (race.step(4));
      logs[restarts ? 1 : 0] = race.log;
    }
    ASSERT_EQ(logs[0], logs[1]) << "round " << round;
  }
}

}  // namespace
}  // namespace fathom::sweeps
