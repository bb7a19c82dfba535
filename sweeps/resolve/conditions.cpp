#include "sweeps/resolve/conditions.hpp"

#include <algorithm>
#include <limits>

namespace fathom::sweeps {
namespace {

using nlohmann::json;

std::optional<json> typed_value(const Column& column, const Node& node, Report& report) {
  auto value = typed(column.key, node, report);
  if (!value) return std::nullopt;
  if (column.name == "drop" && !is_drop_label(value->get<std::string>())) {
    report.error(node.mark, "drop: '" + node.text +
                                "' is no drop label; expected standard, specialized, specialized-NN, "
                                "robust, robust-LL-HH or robust-all" +
                                hint(node.text, {"standard", "specialized", "robust"}));
    return std::nullopt;
  }
  return value;
}

std::optional<json> typed_list(const Column& column, const Node& node, Report& report) {
  json values = json::array();
  const auto add = [&](const Node& one) {
    // Integers may be a range, as everywhere.
    const auto range = column.key.type == Type::integer && one.is_scalar() ? parse_range(one.text) : std::nullopt;
    if (range) {
      Key many = column.key;
      many.type = Type::integers;
      const auto all = typed(many, one, report);
      if (all) values.insert(values.end(), all->begin(), all->end());
      return all.has_value();
    }
    const auto value = typed_value(column, one, report);
    if (value) values.push_back(*value);
    return value.has_value();
  };
  bool fine = true;
  if (!node.is_list()) {
    fine = add(node);
  } else {
    for (const Node& item : node.items) fine = add(item) && fine;
  }
  if (!fine) return std::nullopt;
  return values;
}

std::optional<json> parse_tests(const Column& column, const Node& node, Report& report) {
  json tests = json::array();
  if (!node.is_map()) {
    const auto values = typed_list(column, node, report);
    if (!values) return std::nullopt;
    tests.push_back({"in", *values});
    return tests;
  }
  Column bound = column;  // what values are compared with need not be one of them: {gt: 0}
  bound.key.low = -std::numeric_limits<double>::infinity();
  bound.key.high = std::numeric_limits<double>::infinity();
  bound.key.open = bound.key.whole_from_one = false;
  bool fine = true;
  for (std::size_t i = 0; i < node.items.size(); ++i) {
    const std::string& name = node.keys[i].text;
    if (std::find(kComparisons.begin(), kComparisons.end(), name) == kComparisons.end()) {
      report.error(node.keys[i].mark, "'" + name + "' is no comparison; expected gt, ge, lt, le or ne");
      fine = false;
      continue;
    }
    const auto value =
        name == "ne" ? typed_list(column, node.items[i], report) : typed_value(bound, node.items[i], report);
    if (value) tests.push_back({name, *value});
    fine = fine && value.has_value();
  }
  if (!fine) return std::nullopt;
  return tests;
}

// A sampled parameter has its own prefix among the columns.
std::string column_hint(const std::string& name, const std::vector<std::string>& known) {
  const std::string sampled = "param." + name;
  const bool is_one = std::find(known.begin(), known.end(), sampled) != known.end();
  return is_one ? " (did you mean '" + sampled + "'?)" : hint(name, known);
}

bool equal(const std::string& column, const json& have, const json& want) {
  if (have == want) return true;
  // `specialized` stands for every n of it.
  return column == "drop" && have.is_string() && want.is_string() &&
         have.get<std::string>().rfind(want.get<std::string>() + "-", 0) == 0;
}

bool is_any(const std::string& column, const json& have, const json& list) {
  return std::any_of(list.begin(), list.end(), [&](const json& want) { return equal(column, have, want); });
}

bool passes(const std::string& column, const json& have, const json& test) {
  const auto& name = test.at(0).get_ref<const std::string&>();
  const json& want = test.at(1);
  if (name == "in") return is_any(column, have, want);
  if (name == "ne") return !is_any(column, have, want);
  if (have.type() != want.type() && !(have.is_number() && want.is_number())) return false;
  if (name == "gt") return have > want;
  if (name == "ge") return have >= want;
  if (name == "lt") return have < want;
  return have <= want;
}

}  // namespace

std::optional<json> parse_conditions(const Node& node, const std::string& what, const FindColumn& find,
                                     const std::vector<std::string>& known, Report& report) {
  if (!node.is_map()) {
    report.error(node.mark, what + ": expected a map {COLUMN: condition}, found " + describe(node));
    return std::nullopt;
  }
  json out = json::object();
  bool fine = true;
  for (std::size_t i = 0; i < node.items.size(); ++i) {
    const auto column = find(node.keys[i].text);
    if (!column) {
      report.error(node.keys[i].mark,
                   what + ": unknown column '" + node.keys[i].text + "'" + column_hint(node.keys[i].text, known));
      fine = false;
      continue;
    }
    const auto tests = parse_tests(*column, node.items[i], report);
    if (tests) out[column->name] = *tests;
    fine = fine && tests.has_value();
  }
  if (!fine) return std::nullopt;
  return out;
}

Node without(const Node& map, const std::function<bool(const Node& key)>& told) {
  Node out = map;
  if (!map.is_map()) return out;
  out.keys.clear();
  out.items.clear();
  for (std::size_t i = 0; i < map.items.size(); ++i) {
    if (told(map.keys[i])) continue;
    out.keys.push_back(map.keys[i]);
    out.items.push_back(map.items[i]);
  }
  return out;
}

bool meets(const json& conditions, const ColumnValue& value) {
  for (const auto& [column, tests] : conditions.items()) {
    const auto have = value(column);
    if (!have) return false;
    for (const json& test : tests) {
      if (!passes(column, *have, test)) return false;
    }
  }
  return true;
}

bool is_drop_label(const std::string& text) {
  if (text == "standard" || text == "specialized" || text == "robust" || text == "robust-all") return true;
  std::string shape = text;
  for (char& c : shape) {
    if (c >= '0' && c <= '9') c = '#';
  }
  return shape == "specialized-##" || shape == "robust-##-##" || shape == "specialized-###" ||
         shape == "robust-##-###" || shape == "robust-###-###";
}

}  // namespace fathom::sweeps
