#include "trainer/adapters/label_order.hpp"

#include <algorithm>

#include <ATen/ops/index_select.h>
#include <ATen/ops/tensor.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace fathom::trainer {
namespace {

Error differ(const Head& head, const std::vector<std::string>& labels) {
  return {Errc::invalid_argument, fmt::format("the head \"{}\" was trained for {} outputs [{}], the task has {} [{}]",
                                              head.name, head.config.num_labels, fmt::join(head.config.labels, ", "),
                                              std::max<std::size_t>(labels.size(), 1), fmt::join(labels, ", "))};
}

}  // namespace

bool has_label_names(const Head& head) {
  const auto& names = head.config.labels;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] != "LABEL_" + std::to_string(i)) return true;
  }
  return false;
}

Result<Head> with_labels(const Head& head, const std::vector<std::string>& labels) {
  const auto outputs = static_cast<std::int64_t>(std::max<std::size_t>(labels.size(), 1));
  if (head.config.num_labels != outputs) return differ(head, labels);
  Head out = head;
  if (labels.empty()) return out;
  out.config.labels = labels;
  if (!has_label_names(head) || head.config.labels == labels) return out;
  std::vector<std::int64_t> from;
  for (const std::string& label : labels) {
    const auto found = std::find(head.config.labels.begin(), head.config.labels.end(), label);
    if (found == head.config.labels.end()) return differ(head, labels);
    from.push_back(found - head.config.labels.begin());
  }
  Linear& last = out.linears.rbegin()->second;
  const at::Tensor index = at::tensor(from, last.weight.options().dtype(at::kLong).requires_grad(false));
  last.weight = last.weight.detach().index_select(0, index);
  if (last.bias.defined()) last.bias = last.bias.detach().index_select(0, index);
  return out;
}

}  // namespace fathom::trainer
