// Scores of a task on its eval rows, as scikit-learn and SciPy define them. No Torch: plain numbers in, numbers out.
// Where those libraries answer NaN for a constant input (correlations, F1 without positives), the score is 0: a model
// that predicts one value has learnt nothing, and that is a result, not a failure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fathom::trainer {

struct Metric {
  std::string name;  // as in results.csv: accuracy f1 f1_macro f1_micro matthews | pearson spearman mse | loss
  double value = 0;
};

// Fraction of equal entries. `predicted` and `labels` have the same length; empty input scores 0.
double accuracy(const std::vector<std::int32_t>& predicted, const std::vector<std::int32_t>& labels);
// F1 of class `positive`.
double f1(const std::vector<std::int32_t>& predicted, const std::vector<std::int32_t>& labels, std::int32_t positive);
// Mean of the classes' F1 over the classes that occur in either list.
double f1_macro(const std::vector<std::int32_t>& predicted, const std::vector<std::int32_t>& labels);
// F1 of the pooled counts; equals accuracy when every row has one label.
double f1_micro(const std::vector<std::int32_t>& predicted, const std::vector<std::int32_t>& labels);
// Matthews correlation for any number of classes (Gorodkin 2004).
double matthews(const std::vector<std::int32_t>& predicted, const std::vector<std::int32_t>& labels);
double pearson(const std::vector<double>& a, const std::vector<double>& b);
// Pearson of the ranks; ties share their mean rank.
double spearman(const std::vector<double>& a, const std::vector<double>& b);
double mean_squared_error(const std::vector<double>& a, const std::vector<double>& b);

// All metrics of a classification task; f1 (class 1 is positive) only with two classes.
std::vector<Metric> classification_metrics(const std::vector<std::int32_t>& predicted,
                                           const std::vector<std::int32_t>& labels, std::int32_t classes);
// All metrics of a regression task.
std::vector<Metric> regression_metrics(const std::vector<double>& predicted, const std::vector<double>& targets);

// The metric that judges a task: what its settings ask for ("accuracy", "eval/accuracy"; empty or "primary" = the
// task's own: matthews for CoLA, spearman for STS-B and any regression, else accuracy).
// Throws std::invalid_argument when the task has no such metric.
std::string primary_metric(const std::string& asked, const std::string& task_name, bool regression,
                           std::int32_t classes);

}  // namespace fathom::trainer
