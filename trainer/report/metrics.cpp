#include "trainer/report/metrics.hpp"

#include <cmath>
#include <map>
#include <stdexcept>

namespace fathom::trainer {
namespace {

// True positives and totals of one class.
struct Counts {
  double hits = 0;
  double predicted = 0;
  double labelled = 0;
  [[nodiscard]] double f1() const {
    const double sum = predicted + labelled;
    return sum > 0 ? 2 * hits / sum : 0.0;
  }
};

// Ordered by class, so that floating-point sums over classes are always made in the same order.
std::map<std::int32_t, Counts> count(const std::vector<std::int32_t>& predicted,
                                     const std::vector<std::int32_t>& labels) {
  std::map<std::int32_t, Counts> counts;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    ++counts[predicted[i]].predicted;
    ++counts[labels[i]].labelled;
    if (predicted[i] == labels[i]) ++counts[labels[i]].hits;
  }
  return counts;
}

// "CoLA", "glue/cola" and "STS-B" all count: the name is compared without case, folders and hyphens.
std::string plain_name(const std::string& name) {
  std::string plain;
  for (const char c : name.substr(name.find_last_of('/') + 1)) {
    if (c >= 'A' && c <= 'Z')
      plain += static_cast<char>(c - 'A' + 'a');
    else if (c != '-' && c != '_')
      plain += c;
  }
  return plain;
}

}  // namespace

std::vector<Metric> classification_metrics(const std::vector<std::int32_t>& predicted,
                                           const std::vector<std::int32_t>& labels, std::int32_t classes) {
  std::vector<Metric> metrics = {{"accuracy", accuracy(predicted, labels)}};
  // With more classes there is no positive one.
  if (classes == 2) metrics.push_back({"f1", f1(predicted, labels, 1)});
  metrics.push_back({"f1_macro", f1_macro(predicted, labels)});
  metrics.push_back({"f1_micro", f1_micro(predicted, labels)});
  metrics.push_back({"matthews", matthews(predicted, labels)});
  return metrics;
}

std::vector<Metric> regression_metrics(const std::vector<double>& predicted, const std::vector<double>& targets) {
  return {{"pearson", pearson(predicted, targets)},
          {"spearman", spearman(predicted, targets)},
          {"mse", mean_squared_error(predicted, targets)}};
}

double accuracy(const std::vector<std::int32_t>& predicted, const std::vector<std::int32_t>& labels) {
  if (labels.empty()) return 0.0;
  double hits = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) hits += predicted[i] == labels[i] ? 1 : 0;
  return hits / static_cast<double>(labels.size());
}

double f1(const std::vector<std::int32_t>& predicted, const std::vector<std::int32_t>& labels, std::int32_t positive) {
  return count(predicted, labels)[positive].f1();
}

double f1_macro(const std::vector<std::int32_t>& predicted, const std::vector<std::int32_t>& labels) {
  const auto counts = count(predicted, labels);
  double sum = 0;
  for (const auto& [label, counted] : counts) sum += counted.f1();
  return counts.empty() ? 0.0 : sum / static_cast<double>(counts.size());
}

double f1_micro(const std::vector<std::int32_t>& predicted, const std::vector<std::int32_t>& labels) {
  Counts pooled;
  for (const auto& [label, counted] : count(predicted, labels)) {
    pooled.hits += counted.hits;
    pooled.predicted += counted.predicted;
    pooled.labelled += counted.labelled;
  }
  return pooled.f1();
}

double matthews(const std::vector<std::int32_t>& predicted, const std::vector<std::int32_t>& labels) {
  const auto n = static_cast<double>(labels.size());
  double hits = 0, cross = 0, predicted_squares = 0, label_squares = 0;
  for (const auto& [label, counted] : count(predicted, labels)) {
    hits += counted.hits;
    cross += counted.predicted * counted.labelled;
    predicted_squares += counted.predicted * counted.predicted;
    label_squares += counted.labelled * counted.labelled;
  }
  // Zero when one side has a single class; see the header.
  const double spread = (n * n - predicted_squares) * (n * n - label_squares);
  return spread > 0 ? (hits * n - cross) / std::sqrt(spread) : 0.0;
}

std::string primary_metric(const std::string& asked, const std::string& task_name, bool regression,
                           std::int32_t classes) {
  std::string name = asked.starts_with("eval/") ? asked.substr(5) : asked;
  if (name.empty() || name == "primary") {
    if (regression) return "spearman";
    return plain_name(task_name) == "cola" ? "matthews" : "accuracy";
  }
  std::string known;
  const auto metrics = regression ? regression_metrics({0.0}, {0.0}) : classification_metrics({0}, {0}, classes);
  for (const auto& metric : metrics) {
    if (metric.name == name) return name;
    known += metric.name + ", ";
  }
  if (name == "loss") return name;
  throw std::invalid_argument("task " + task_name + " has no metric '" + name + "'; it has " + known + "loss");
}

}  // namespace fathom::trainer
