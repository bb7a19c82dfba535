// ASHA against the vectors of the literature and of other libraries (reference numbers in the names), and against a
// slow model of the rule.
#include "sweeps/search/rungs.hpp"
#include "sweeps/search/stopper.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <random>

#include <gtest/gtest.h>

namespace fathom::sweeps {
namespace {

StopRule rule(std::uint32_t min, std::uint32_t max, std::uint32_t eta, bool ties_continue = true) {
  StopRule out;
  out.eta = eta;
  out.min = min;
  out.max = max;
  out.ties_continue = ties_continue;
  return out;
}

// One report; false = stop.
bool report(Stopper& asha, JobIndex job, std::uint32_t epoch, double value) {
  const auto entries = asha.report(job, epoch, value);
  return std::all_of(entries.begin(), entries.end(), [](const auto& entry) { return entry.keep_going; });
}

// Verdicts of one job after another at the first rung: C or S each.
std::string verdicts(std::uint32_t eta, const std::vector<double>& values, Goal goal = Goal::minimize,
                     bool ties = true) {
  Stopper asha(rule(1, 1000, eta, ties), goal);
  std::string out;
  for (JobIndex job = 0; job < values.size(); ++job) out += report(asha, job, 1, values[job]) ? 'C' : 'S';
  return out;
}

// The reference counts rungs down from R: `rungs: k`.
TEST(AshaRungs, Vector1CountedDown) {
  EXPECT_EQ(rungs_down(3, 9, 3), (std::vector<std::uint32_t>{1, 3, 9}));
  EXPECT_EQ(rungs_down(4, 10, 2), (std::vector<std::uint32_t>{1, 2, 5, 10}));
  EXPECT_EQ(rungs_down(1, 9, 3), (std::vector<std::uint32_t>{9}));
  EXPECT_EQ(rungs_down(3, 900, 3), (std::vector<std::uint32_t>{100, 300, 900}));
  EXPECT_EQ(rungs_down(9, 4, 2), (std::vector<std::uint32_t>{1, 2, 4}));  // no rung below one epoch
}

TEST(AshaRungs, CountedUpFromMin) {
  EXPECT_EQ(rungs_of(rule(1, 9, 3)), (std::vector<std::uint32_t>{1, 3, 9}));
  EXPECT_EQ(rungs_of(rule(1, 10, 2)), (std::vector<std::uint32_t>{1, 2, 4, 8, 10}));
  EXPECT_EQ(rungs_of(rule(100, 900, 3)), (std::vector<std::uint32_t>{100, 300, 900}));
}

TEST(AshaRungs, CountedInIntegersWhereLogarithmsLoseOne) {
  EXPECT_EQ(rungs_of(rule(1, 243, 3)).size(), 6u);              // floor(log(243)/log(3)) is 4 in binary64
  EXPECT_EQ(rungs_of(rule(1, 1000, 10)).size(), 4u);            // and floor(log(1000)/log(10)) is 2
  EXPECT_EQ(rungs_of(rule(1, 4'000'000'000u, 2)).size(), 33u);  // no overflow on the way
}

TEST(AshaRungs, FirstRungAboveTheBudgetIsTheBudget) {
  EXPECT_EQ(rungs_of(rule(5, 2, 3)), (std::vector<std::uint32_t>{2}));
}

TEST(Asha, Vector2FirstGoesOnThenBetterGoesOnAndWorseStops) {
  Stopper better(rule(1, 9, 3), Goal::minimize);
  EXPECT_TRUE(report(better, 1, 1, 0.5));
  EXPECT_TRUE(report(better, 2, 1, 0.4));
  Stopper worse(rule(1, 9, 3), Goal::minimize);
  EXPECT_TRUE(report(worse, 1, 1, 0.5));
  EXPECT_FALSE(report(worse, 2, 1, 0.6));
  EXPECT_EQ(worse.entries().back().rung, 0u);
}

TEST(Asha, Vector3EachNewcomerWorseStopsNineOfTen) {
  Stopper asha(rule(100, 900, 3), Goal::minimize);
  int full = 0;
  int stopped_at_first = 0;
  for (JobIndex job = 0; job < 10; ++job) {
    bool running = true;
    for (const std::uint32_t step : {100u, 300u, 900u}) {
      if (!running) break;
      running = report(asha, job, step, 0.1 * (job + 1));
      if (!running && step == 100) ++stopped_at_first;
    }
    if (running) ++full;
  }
  EXPECT_EQ(full, 1);
  EXPECT_EQ(stopped_at_first, 9);
}

TEST(Asha, Vector6) { EXPECT_EQ(verdicts(3, {1.0, 0.9, 0.8, 1.2}), "CCCS"); }

TEST(Asha, Vector7WhereLibrariesDisagree) {
  const std::vector<double> arrivals = {.50, .40, .45, .42, .60, .41, .44, .43, .39};
  EXPECT_EQ(verdicts(3, arrivals), "CCSSSCSSC");
  EXPECT_EQ(verdicts(4, arrivals), "CCSSSSSSC");
  EXPECT_EQ(verdicts(2, {1, 2, 1.5, 1.4, 1.2, 3, .5}), "CSSCCSC");
}

TEST(Asha, Vector8ImprovingWorseningAndEqualArrivals) {
  EXPECT_EQ(verdicts(3, {7, 6, 5, 4, 3, 2, 1}), "CCCCCCC");
  EXPECT_EQ(verdicts(3, {1, 2, 3, 4, 5, 6, 7}), "CSSSSSS");
  EXPECT_EQ(verdicts(3, {1, 1, 1, 1, 1, 1, 1}), "CCCCCCC");
}

TEST(Asha, TiesFirstLetsEarlierArrivalsTakeThePlaces) {
  EXPECT_EQ(verdicts(3, {1, 1, 1, 1, 1, 1, 1}, Goal::minimize, false), "CSSSSSS");
}

TEST(Asha, Vector20NotFiniteNeverEnters) {
  Stopper asha(rule(1, 9, 3), Goal::minimize);
  EXPECT_TRUE(report(asha, 1, 1, 0.3));
  EXPECT_TRUE(asha.report(2, 1, std::nan("")).empty());
  EXPECT_TRUE(asha.report(2, 1, std::numeric_limits<double>::infinity()).empty());
  EXPECT_TRUE(report(asha, 3, 1, 0.1));
  EXPECT_TRUE(report(asha, 4, 1, 0.05));
  EXPECT_EQ(asha.entries().size(), 3u);
}

TEST(Asha, MaximizeIsTheMirror) {
  const std::vector<double> arrivals = {.50, .40, .45, .42, .60, .41, .44, .43, .39};
  std::vector<double> mirrored;
  for (const double value : arrivals) mirrored.push_back(-value);
  EXPECT_EQ(verdicts(3, mirrored, Goal::maximize), verdicts(3, arrivals));
}

TEST(Asha, OneReportOverSeveralRungsIsJudgedInRisingOrderUntilStop) {
  Stopper asha(rule(1, 27, 3), Goal::maximize);
  const auto first = asha.report(1, 9, 0.5);
  ASSERT_EQ(first.size(), 3u);  // 1, 3, 9
  for (std::uint32_t i = 0; i < 3; ++i) {
    EXPECT_EQ(first[i].rung, i);
    EXPECT_EQ(first[i].value, 0.5);
  }
  const auto second = asha.report(2, 9, 0.4);  // stopped at the lowest rung: enters no other
  ASSERT_EQ(second.size(), 1u);
  EXPECT_FALSE(second[0].keep_going);
}

TEST(Asha, RungValueIsTheFirstAtOrAfterIt) {
  Stopper asha(rule(3, 27, 3), Goal::maximize);
  EXPECT_TRUE(asha.report(1, 2, 0.9).empty());
  const auto entries = asha.report(1, 4, 0.7);
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0].value, 0.7);
}

TEST(Asha, AVerdictIsGivenOnce) {
  Stopper asha(rule(1, 9, 3), Goal::maximize);
  EXPECT_TRUE(report(asha, 1, 1, 0.5));
  EXPECT_TRUE(asha.report(1, 1, 0.1).empty());  // repeated, and worse
  EXPECT_FALSE(report(asha, 2, 1, 0.4));
  EXPECT_TRUE(asha.report(2, 9, 0.9).empty());  // late, after its stop
}

TEST(Asha, FullBudgetStopsNothing) {
  Stopper asha(rule(1, 3, 3), Goal::maximize);
  EXPECT_TRUE(report(asha, 1, 3, 0.9));
  Stopper only_last(rule(3, 3, 3), Goal::maximize);
  EXPECT_TRUE(report(only_last, 1, 3, 0.9));
  EXPECT_TRUE(report(only_last, 2, 3, 0.1));
  EXPECT_EQ(only_last.entries().size(), 2u);
}

TEST(Asha, JudgeDoesNotStore) {
  const Stopper asha(rule(1, 9, 3), Goal::maximize);
  EXPECT_TRUE(asha.judge(1, 0, 0.5).keep_going);
  EXPECT_TRUE(asha.entries().empty());
}

// The rule, written for reading: sort the rung, take the keep-th best, compare.
class SlowModel {
 public:
  SlowModel(StopRule stop, Goal goal) : rule_(std::move(stop)), goal_(goal) {}

  bool report(JobIndex job, std::uint32_t epoch, double value) {
    if (stopped_[job]) return true;  // nothing new
    for (const std::uint32_t rung : rungs_of(rule_)) {
      if (rung > epoch || rungs_[rung].contains(job)) continue;
      rungs_[rung][job] = value;
      if (rung == rule_.max) continue;
      std::vector<double> sorted;
      for (const auto& [other, one] : rungs_[rung]) sorted.push_back(goal_ == Goal::maximize ? -one : one);
      std::sort(sorted.begin(), sorted.end());
      const std::size_t keep = std::max<std::size_t>(1, sorted.size() / rule_.eta);
      if ((goal_ == Goal::maximize ? -value : value) <= sorted[keep - 1]) continue;
      stopped_[job] = true;
      return false;
    }
    return true;
  }

 private:
  StopRule rule_;
  Goal goal_;
  std::map<std::uint32_t, std::map<JobIndex, double>> rungs_;
  std::map<JobIndex, bool> stopped_;
};

struct Reported {
  JobIndex job;
  std::uint32_t epoch;
  double value;
};

std::vector<Reported> random_reports(std::mt19937& random, std::uint32_t max) {
  std::vector<Reported> out;
  std::map<JobIndex, std::uint32_t> at;
  for (int i = 0; i < 200; ++i) {
    const JobIndex job = random() % 30;
    at[job] = std::min<std::uint32_t>(max, at[job] + 1 + random() % 3);      // reports may skip epochs
    out.push_back({job, at[job], static_cast<double>(random() % 12) / 12});  // few values: many ties
  }
  return out;
}

TEST(AshaProperty, EqualsTheSlowModel) {
  std::mt19937 random(20240607);
  for (int round = 0; round < 300; ++round) {
    const StopRule stop = rule(1 + random() % 3, 4 + random() % 20, 2 + random() % 4);
    const Goal goal = random() % 2 == 0 ? Goal::maximize : Goal::minimize;
    Stopper asha(stop, goal);
    SlowModel model(stop, goal);
    for (const Reported& one : random_reports(random, stop.max)) {
      ASSERT_EQ(report(asha, one.job, one.epoch, one.value), model.report(one.job, one.epoch, one.value))
          << "round " << round;
    }
  }
}

TEST(AshaProperty, RestoredFromItsEntriesItDecidesTheSame) {
  std::mt19937 random(7);
  for (int round = 0; round < 50; ++round) {
    const StopRule stop = rule(1, 27, 3);
    Stopper running(stop, Goal::maximize);
    const auto reports = random_reports(random, stop.max);
    for (std::size_t i = 0; i < reports.size(); ++i) {
      if (i % 20 == 0) {  // a restart
        Stopper restored(stop, Goal::maximize);
        for (const Stopper::Entry& entry : running.entries()) restored.restore(entry);
        running = restored;
      }
      report(running, reports[i].job, reports[i].epoch, reports[i].value);
    }
    Stopper undisturbed(stop, Goal::maximize);
    for (const Reported& one : reports) report(undisturbed, one.job, one.epoch, one.value);
    ASSERT_EQ(running.entries().size(), undisturbed.entries().size());
    for (std::size_t i = 0; i < running.entries().size(); ++i) {
      EXPECT_EQ(running.entries()[i].job, undisturbed.entries()[i].job);
      EXPECT_EQ(running.entries()[i].rung, undisturbed.entries()[i].rung);
      EXPECT_EQ(running.entries()[i].keep_going, undisturbed.entries()[i].keep_going);
    }
  }
}

}  // namespace
}  // namespace fathom::sweeps
