// Conditions on columns, as in `where`, `exclude` and `when`: {COLUMN: value, [values] or {gt: 1e-4, lt: 1e-2}}. All
// columns must meet theirs. Checked form: {"column": [["in", [values]], ["gt", value]]}.
// Thread: free functions without state.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "sweeps/schema/values.hpp"

namespace fathom::sweeps {

struct Column {
  std::string name;  // in the checked form: "task", "param.train.lr"
  Key key;           // type and limits of its values
};

inline constexpr std::array<const char*, 5> kComparisons = {"gt", "ge", "lt", "le", "ne"};

// The column that a name in the file means, or nothing.
using FindColumn = std::function<std::optional<Column>(const std::string& name)>;

// `what` names the key in messages; `known` is for the hint. Nothing after reporting.
std::optional<nlohmann::json> parse_conditions(const Node& node, const std::string& what, const FindColumn& find,
                                               const std::vector<std::string>& known, Report& report);

// The map without the entries whose keys `told` takes: it has reported them.
Node without(const Node& map, const std::function<bool(const Node& key)>& told);

// The value of a column of one job or point, or nullptr where it has none (then no condition on it is met).
using ColumnValue = std::function<std::optional<nlohmann::json>(const std::string& column)>;
bool meets(const nlohmann::json& conditions, const ColumnValue& value);

// "standard", "specialized-05", "robust-00-05" as a label, or "specialized", "robust" for all of a kind.
bool is_drop_label(const std::string& text);

}  // namespace fathom::sweeps
