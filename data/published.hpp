// What is known of published data sets beside their original files: the columns and label values of the copies that the
// `datasets` package exports, and rows that everybody's loader leaves out. Thread: constant data.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "data/table.hpp"

namespace fathom::data {

// One data set, by its preset's name ("glue/mnli").
struct Published {
  std::vector<Column> text;  // of the exported copies; one or two
  Column label;
  // Words for one class: its name in the original files, its name and (where they differ from the names) its id in the
  // exported copies. A label is found by any of them.
  std::vector<std::vector<std::string>> synonyms;
  bool skip_malformed = false;  // rows with another number of columns than the header are no examples
  bool two_evals = false;       // dev_matched and dev_mismatched both score
};

// Null for a name that is not known.
const Published* published(std::string_view preset);

}  // namespace fathom::data
