// A recipe: how rows of somebody's CSV, TSV or JSONL become a task's train.tsv, dev.tsv and labels.json. The keys are
// explained in docs/data.md. Thread: free functions without state.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/result.hpp"
#include "data/table.hpp"

namespace fathom::data {

struct Recipe {
  std::string name;    // of the task; the file's name without ending where the recipe has none
  std::string source;  // relative to the root
  TableOptions table;  // format, header, encoding
  std::vector<std::pair<Column, std::string>> where;  // only rows whose columns have these values
  std::vector<Column> text;                           // one or two
  Column label;
  // By id: the value in the file and the name it gets. Empty: every value is a label, ids in code-point order.
  std::vector<std::pair<std::string, std::string>> labels;
  bool regression = false;  // labels: number
  double split = 0.1;       // share of dev, or its number of rows
  std::uint64_t split_seed = 0;
  std::optional<std::uint64_t> limit_train;  // rows kept after the split
  std::optional<std::uint64_t> limit_dev;
  bool deduplicate = false;  // drop rows whose texts have been seen
};

// `file` is named in errors and gives the default name. All errors are invalid_argument with file:line:column.
Result<Recipe> parse_recipe(std::string_view yaml, const std::string& file);

}  // namespace fathom::data
