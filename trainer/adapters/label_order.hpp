// Heads whose outputs stand in another order than a task's label ids. The order of MNLI's labels differs between
// loaders (old scripts used another one for RoBERTa and BART than for BERT), so ids are matched by name, never by
// number.
#pragma once

#include <string>
#include <vector>

#include "common/result.hpp"
#include "trainer/adapters/head.hpp"

namespace fathom::trainer {

// A copy of `head` whose output i belongs to labels[i]: the rows of its last linear are put in that order. A head
// without names of its own (none, or LABEL_0, LABEL_1, …) is taken to be in the given order. Empty `labels`: a
// regression. Weights are shared with `head` where nothing moves. invalid_argument names both lists when they differ.
Result<Head> with_labels(const Head& head, const std::vector<std::string>& labels);

// Whether the head's config names its outputs.
bool has_label_names(const Head& head);

}  // namespace fathom::trainer
