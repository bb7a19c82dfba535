// Metric points: idempotent, the highest attempt wins, curves keep their peaks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <future>
#include <thread>

#include "coordinator/store/metric_store.hpp"
#include "tests/unit/coordinator/store_testing.hpp"

namespace fathom::store {
namespace {

using fathom::testing::TempFolder;
using ::testing::ElementsAre;

constexpr JobNumber kJob{7};

class MetricStoreTest : public ::testing::Test {
 protected:
  void SetUp() override { open(); }

  void open() {
    store_.reset();
    MetricStoreHooks hooks;
    hooks.on_points = [this](const std::vector<JobNumber>& jobs) { notified_ = jobs; };
    auto opened = open_metric_store(folder_ / "metrics.db", hooks);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    store_ = std::move(opened).value();
  }

  std::uint64_t append(std::uint32_t attempt, std::uint64_t first, std::vector<MetricPoint> points,
                       std::uint32_t generation = 1, JobNumber job = kJob) {
    std::promise<Result<std::uint64_t>> done;
    store_->append({job, generation, attempt, first, std::move(points)},
                   [&](const Result<std::uint64_t>& last) { done.set_value(last); });
    const Result<std::uint64_t> last = done.get_future().get();
    EXPECT_TRUE(last.ok());
    return last ? *last : 0;
  }

  std::vector<double> values(const std::string& name) {
    SeriesQuery query;
    query.name = name;
    const auto series = store_->series(kJob, query);
    EXPECT_TRUE(series.ok());
    std::vector<double> all;
    if (series && !series->empty()) {
      for (const SeriesPoint& point : series->front().points) all.push_back(point.value);
    }
    return all;
  }

  TempFolder folder_;
  std::vector<JobNumber> notified_;
  std::unique_ptr<MetricStore> store_;
};

TEST_F(MetricStoreTest, ARepeatedBatchChangesNothing) {
  EXPECT_EQ(append(1, 1, {{"loss", 1, 0.9, 100, -1}, {"loss", 2, 0.8, 200, -1}}), 2U);
  EXPECT_EQ(append(1, 1, {{"loss", 1, 5.0, 100, -1}, {"loss", 2, 5.0, 200, -1}}), 2U);
  EXPECT_EQ(append(1, 2, {{"loss", 2, 5.0, 200, -1}, {"loss", 3, 0.7, 300, -1}}), 3U);
  EXPECT_THAT(values("loss"), ElementsAre(0.9, 0.8, 0.7));
  EXPECT_THAT(notified_, ElementsAre(kJob));
}

// The store's thread waits for company; what comes meanwhile goes with it, and what comes later is written, too.
TEST_F(MetricStoreTest, WhatComesWhileItWaitsDoesNotKeepItFromGoingOn) {
  std::promise<void> first;
  store_->append({kJob, 1, 1, 1, {{"loss", 1, 0.9, 0, -1}}}, [&](const Result<std::uint64_t>&) { first.set_value(); });
  std::this_thread::sleep_for(Millis(5));  // of the 20 that it waits
  EXPECT_EQ(append(1, 2, {{"loss", 2, 0.8, 0, -1}}), 2U);
  first.get_future().wait();
  std::this_thread::sleep_for(Millis(50));  // as long as it might look for nothing
  EXPECT_EQ(append(1, 3, {{"loss", 3, 0.7, 0, -1}}), 3U);
}

TEST_F(MetricStoreTest, NeverAcknowledgesOverAHole) {
  EXPECT_EQ(append(1, 1, {{"loss", 1, 0.9, 0, -1}}), 1U);
  EXPECT_EQ(append(1, 3, {{"loss", 3, 0.7, 0, -1}}), 1U);
  EXPECT_EQ(append(1, 2, {{"loss", 2, 0.8, 0, -1}, {"loss", 3, 0.7, 0, -1}}), 3U);
  EXPECT_EQ(append(2, 1, {{"loss", 4, 0.6, 0, -1}}), 1U);  // each attempt counts for itself
}

TEST_F(MetricStoreTest, ShowsTheHighestAttemptOfEachStep) {
  append(1, 1, {{"loss", 1, 1, 0, -1}, {"loss", 2, 1, 0, -1}, {"loss", 3, 1, 0, -1}});
  append(2, 1, {{"loss", 2, 2, 0, -1}});
  append(1, 1, {{"loss", 3, 3, 0, -1}}, 2);  // attempt 1 of generation 2 is higher than attempt 2 of generation 1
  EXPECT_THAT(values("loss"), ElementsAre(1, 2, 3));
}

TEST_F(MetricStoreTest, KeepsEverythingOverAReopen) {
  append(1, 1, {{"loss", 1, 0.9, 100, -1}, {"accuracy", 1, 0.5, 100, 2}, {"loss", 2, std::nan(""), 150, -1}});
  open();
  EXPECT_EQ(append(1, 4, {{"accuracy", 1, 0.6, 100, 0}}), 4U);
  const auto series = store_->series(kJob, {});
  ASSERT_TRUE(series.ok());
  ASSERT_EQ(series->size(), 3U);
  EXPECT_EQ((*series)[0].name, "accuracy");
  EXPECT_EQ((*series)[0].depth, 0);
  EXPECT_EQ((*series)[1].depth, 2);
  EXPECT_EQ((*series)[2].points[0].wall_ms, 100);
  EXPECT_TRUE(std::isnan((*series)[2].points[1].value));
}

TEST_F(MetricStoreTest, DrawsTheCurvesOfManyJobs) {
  append(1, 1, {{"accuracy", 1, 0.5, 0, 2}, {"accuracy", 1, 0.6, 0, 1}}, 1, JobNumber(3));
  append(1, 1, {{"accuracy", 1, 0.7, 0, 0}, {"accuracy", 2, 0.8, 0, 0}}, 1, JobNumber(9));
  SeriesQuery query;
  query.name = "accuracy";
  const auto curves = store_->curves({JobNumber(9), JobNumber(4), JobNumber(3)}, query);
  ASSERT_TRUE(curves.ok());
  ASSERT_EQ(curves->size(), 2U);
  EXPECT_EQ((*curves)[0].job, JobNumber(9));
  EXPECT_EQ((*curves)[0].points.size(), 2U);
  EXPECT_EQ((*curves)[1].points[0].value, 0.6);  // the lowest depth
}

TEST(Downsample, KeepsEndsAndPeaks) {
  std::vector<SeriesPoint> points;
  for (std::uint64_t step = 0; step < 10000; ++step)
    points.push_back({step, std::sin(static_cast<double>(step) / 500), 0});
  points[4321].value = 50;
  points[1234].value = -50;
  const std::vector<SeriesPoint> fewer = downsample(points, 100);
  EXPECT_LE(fewer.size(), 100U);
  EXPECT_GE(fewer.size(), 90U);
  EXPECT_EQ(fewer.front().step, 0U);
  EXPECT_EQ(fewer.back().step, 9999U);
  EXPECT_TRUE(std::is_sorted(fewer.begin(), fewer.end(), [](const auto& a, const auto& b) { return a.step < b.step; }));
  EXPECT_EQ(std::count_if(fewer.begin(), fewer.end(), [](const auto& p) { return std::abs(p.value) == 50; }), 2);
}

TEST(Downsample, LeavesShortSeriesAndKeepsNan) {
  const std::vector<SeriesPoint> three{{1, 1, 0}, {2, 2, 0}, {3, 3, 0}};
  EXPECT_EQ(downsample(three, 3).size(), 3U);
  EXPECT_EQ(downsample(three, 0).size(), 3U);
  std::vector<SeriesPoint> points(50);
  for (std::size_t i = 0; i < points.size(); ++i) points[i] = {i, static_cast<double>(i), 0};
  points[20].value = std::nan("");
  points[21].value = 1000;
  const auto fewer = downsample(points, 4);
  EXPECT_EQ(fewer.size(), 4U);
  EXPECT_TRUE(std::any_of(fewer.begin(), fewer.end(), [](const auto& p) { return std::isnan(p.value); }));
}

}  // namespace
}  // namespace fathom::store
