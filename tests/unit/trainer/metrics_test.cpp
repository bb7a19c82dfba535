// Expected values from scikit-learn 1.x and SciPy, computed by hand where the sums are short.
#include "trainer/report/metrics.hpp"

#include <cmath>
#include <set>

#include <gtest/gtest.h>

#include "trainer/batches/random.hpp"

namespace fathom::trainer {
namespace {

using Labels = std::vector<std::int32_t>;

TEST(Metrics, BinaryClassification) {
  const Labels labels = {1, 1, 1, 0, 0, 0, 0, 1};
  const Labels predicted = {1, 1, 0, 0, 0, 1, 0, 1};
  EXPECT_DOUBLE_EQ(accuracy(predicted, labels), 0.75);
  EXPECT_DOUBLE_EQ(f1(predicted, labels, 1), 0.75);
  EXPECT_DOUBLE_EQ(f1_macro(predicted, labels), 0.75);
  EXPECT_DOUBLE_EQ(f1_micro(predicted, labels), 0.75);
  EXPECT_DOUBLE_EQ(matthews(predicted, labels), 0.5);  // (3*3 - 1*1) / sqrt(4*4*4*4)
}

TEST(Metrics, ThreeClasses) {
  const Labels labels = {0, 0, 1, 1, 2, 2};
  const Labels predicted = {0, 1, 1, 1, 2, 0};
  EXPECT_DOUBLE_EQ(accuracy(predicted, labels), 4.0 / 6);
  // Per class: 2*1/(2+2) = 0.5, 2*2/(3+2) = 0.8, 2*1/(1+2) = 2/3.
  EXPECT_NEAR(f1_macro(predicted, labels), (0.5 + 0.8 + 2.0 / 3) / 3, 1e-15);
  // (4*6 - (2*2 + 3*2 + 1*2)) / sqrt((36 - 14) * (36 - 12))
  EXPECT_NEAR(matthews(predicted, labels), 12.0 / std::sqrt(22.0 * 24.0), 1e-15);
  for (const auto& metric : classification_metrics(predicted, labels, 3)) EXPECT_NE(metric.name, "f1");
}

TEST(Metrics, ConstantPredictionScoresZeroNotNan) {
  EXPECT_EQ(matthews({1, 1, 1}, {0, 1, 1}), 0.0);
  EXPECT_EQ(f1({0, 0}, {0, 0}, 1), 0.0);
  EXPECT_EQ(pearson({2, 2, 2}, {1, 2, 3}), 0.0);
  EXPECT_EQ(spearman({2, 2, 2}, {1, 2, 3}), 0.0);
}

TEST(Metrics, CorrelationsWithTies) {
  const std::vector<double> a = {1, 2, 2, 4, 5}, b = {1.5, 1, 3, 3, 6};
  EXPECT_NEAR(pearson(a, b), 0.8507321121867054, 1e-12);
  // Ranks 1 2.5 2.5 4 5 and 2 1 3.5 3.5 5: 7.25 / sqrt(9.5 * 9.5)
  EXPECT_NEAR(spearman(a, b), 7.25 / 9.5, 1e-12);
  EXPECT_DOUBLE_EQ(mean_squared_error(a, b), (0.25 + 1 + 1 + 1 + 1) / 5);
  EXPECT_TRUE(std::isnan(spearman({1, std::nan("")}, {1, 2})));
  EXPECT_TRUE(std::isnan(pearson({1, std::nan("")}, {1, 2})));
}

// Values of the libraries' formulas (per-class precision and recall, covariances of indicators, ranks), in NumPy.
TEST(Metrics, ThirtyRowsOfThreeClasses) {
  const Labels labels = {2, 1, 2, 2, 1, 2, 2, 0, 0, 0, 0, 2, 2, 0, 1, 2, 0, 2, 0, 1, 2, 0, 1, 0, 2, 0, 2, 1, 1, 1};
  const Labels predicted = {2, 2, 1, 0, 0, 2, 2, 1, 0, 0, 0, 2, 1, 1, 1, 2, 0, 2, 0, 0, 2, 0, 1, 2, 2, 0, 1, 1, 1, 1};
  EXPECT_NEAR(accuracy(predicted, labels), 2.0 / 3, 1e-15);
  EXPECT_NEAR(f1_micro(predicted, labels), 2.0 / 3, 1e-15);
  EXPECT_NEAR(f1_macro(predicted, labels), 0.6609427609427608, 1e-14);
  EXPECT_NEAR(matthews(predicted, labels), 0.5033670414105182, 1e-14);
}

TEST(Metrics, TwentyFourRowsOfTwoClasses) {
  const Labels labels = {0, 1, 0, 1, 1, 1, 1, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 1, 1, 0, 0, 1, 0, 0};
  const Labels predicted = {1, 1, 0, 0, 0, 0, 1, 0, 1, 1, 0, 0, 1, 0, 1, 0, 0, 1, 1, 1, 0, 1, 0, 1};
  EXPECT_NEAR(f1(predicted, labels, 1), 0.6363636363636365, 1e-14);
  EXPECT_NEAR(f1_macro(predicted, labels), 0.6643356643356644, 1e-14);
  EXPECT_NEAR(matthews(predicted, labels), 0.3380617018914066, 1e-14);
}

TEST(Metrics, TwentyScoresWithTies) {
  const std::vector<double> truth = {0.1, 1.9, 0.2, 3.3, 3.3, 3.3, 2.1, 2.6, 4.4, 1.7,
                                     3.0, 3.4, 1.8, 2.6, 3.8, 4.5, 0.8, 4.7, 0.0, 3.8};
  const std::vector<double> predicted = {-0.95, 2.16, -0.66, 4.27, 3.49, 3.39, 1.51, 2.4,  2.4,   0.57,
                                         3.36,  1.27, 2.65,  0.85, 4.56, 3.65, 1.58, 4.83, -1.54, 5.05};
  EXPECT_NEAR(pearson(predicted, truth), 0.8422834447290923, 1e-14);
  EXPECT_NEAR(spearman(predicted, truth), 0.7994737153567398, 1e-14);
  EXPECT_NEAR(mean_squared_error(predicted, truth), 1.14354, 1e-12);
}

TEST(Metrics, EveryMetricOfATaskIsListed) {
  const auto names = [](const std::vector<Metric>& metrics) {
    std::vector<std::string> out;
    for (const auto& metric : metrics) out.push_back(metric.name);
    return out;
  };
  using Names = std::vector<std::string>;
  EXPECT_EQ(names(classification_metrics({0, 1}, {0, 1}, 2)),
            (Names{"accuracy", "f1", "f1_macro", "f1_micro", "matthews"}));
  EXPECT_EQ(names(classification_metrics({0, 1}, {0, 1}, 3)), (Names{"accuracy", "f1_macro", "f1_micro", "matthews"}));
  EXPECT_EQ(names(regression_metrics({0, 1}, {0, 1})), (Names{"pearson", "spearman", "mse"}));
}

TEST(Metrics, EachTaskHasItsPrimary) {
  EXPECT_EQ(primary_metric("primary", "CoLA", false, 2), "matthews");
  EXPECT_EQ(primary_metric("", "sts-b", true, 1), "spearman");
  EXPECT_EQ(primary_metric("", "rte", false, 2), "accuracy");
  EXPECT_EQ(primary_metric("eval/f1", "mrpc", false, 2), "f1");
  EXPECT_THROW(primary_metric("f1", "mnli", false, 3), std::invalid_argument);
  EXPECT_THROW(primary_metric("pearson", "rte", false, 2), std::invalid_argument);
}

TEST(Random, EpochOrderIsAPermutationOfItsOwn) {
  const auto order = epoch_order(100, 1, 0);
  EXPECT_EQ(std::set<std::uint32_t>(order.begin(), order.end()).size(), 100U);
  EXPECT_EQ(order, epoch_order(100, 1, 0));
  EXPECT_NE(order, epoch_order(100, 1, 1));
  EXPECT_NE(order, epoch_order(100, 2, 0));
}

TEST(Random, StreamsNeverChange) {
  // Part of every result: a change here makes every stored result unrepeatable.
  EXPECT_EQ(Xoshiro256(0).next(), 0x99EC5F36CB75F2B4ULL);  // reference value of xoshiro256** seeded by SplitMix64(0)
  EXPECT_EQ(stream_key(1, Purpose::order, 0), stream_key(1, Purpose::order, 0));
  EXPECT_NE(stream_key(1, Purpose::order, 0), stream_key(1, Purpose::drop, 0));
}

TEST(Random, DrawnDepthsCoverTheRangeEvenly) {
  std::vector<int> counts(6, 0);
  for (std::uint64_t step = 0; step < 6000; ++step) ++counts.at(drawn_depth(0, 5, 1, step));
  for (const int count : counts) EXPECT_NEAR(count, 1000, 150);
  EXPECT_EQ(drawn_depth(3, 3, 1, 17), 3U);
}

}  // namespace
}  // namespace fathom::trainer
