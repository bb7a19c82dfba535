#include "sweeps/resolve/parameters.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "sweeps/schema/fields.hpp"

namespace fathom::sweeps {
namespace {

using nlohmann::json;

constexpr std::size_t kMostValues = 100'000;

void set_values(Parameter& parameter, const Node& node, Report& report) {
  // A list of a list-like type would be ambiguous; samples are scalars only.
  if (!node.is_list()) {
    const bool range = parameter.key->type == Type::integer && node.is_scalar() && parse_range(node.text);
    if (!range) {
      report.error(node.mark, parameter.name + ": expected a list of values, found " + describe(node) +
                                  (node.is_scalar() ? "; a fixed value belongs to `" +
                                                          std::string(info_of(parameter.section).title) + "`"
                                                    : ""));
      return;
    }
  }
  if (node.is_list() && node.items.empty()) {
    report.error(node.mark, parameter.name + ": expected at least one value");
    return;
  }
  Key many = *parameter.key;
  many.type = Type::integers;
  const auto add = [&](const Node& item) {
    const bool range = parameter.key->type == Type::integer && item.is_scalar() && parse_range(item.text);
    if (auto value = typed(range ? many : *parameter.key, item, report)) {
      if (range) {
        parameter.values.insert(parameter.values.end(), value->begin(), value->end());
      } else {
        parameter.values.push_back(*std::move(value));
      }
    }
  };
  if (!node.is_list()) {
    add(node);
  } else {
    for (const Node& item : node.items) add(item);
  }
}

// min, min + step, … without passing max; a last point that misses max by rounding only is max.
std::vector<double> steps_between(double low, double high, double step) {
  std::vector<double> out;
  const double count = std::floor((high - low) / step * (1 + 1e-12) + 1e-9);
  for (double i = 0; i <= count && out.size() <= kMostValues; ++i)
    out.push_back(i == 0 ? low : round_digits(low + i * step));
  if (std::fabs(out.back() - high) <= 1e-6 * std::max(std::fabs(high), step)) out.back() = high;
  return out;
}

// As if they stood in a list of values.
bool check_ends(const Parameter& parameter, const Fields& fields, Report& report) {
  const bool low = typed(*parameter.key, *fields.node("min"), report).has_value();
  return typed(*parameter.key, *fields.node("max"), report) && low;
}

void set_range(Parameter& parameter, const Fields& fields, Report& report) {
  if (!fields.has("min") || !fields.has("max")) {
    report.error(parameter.mark, parameter.name + ": expected values: […], or min and max with samples or step");
    return;
  }
  const double low = fields.value("min").get<double>();
  const double high = fields.value("max").get<double>();
  const bool log = fields.value("scale") == "log";
  const bool samples = fields.has("samples");
  if (parameter.key->type != Type::number && parameter.key->type != Type::integer) {
    report.error(fields.mark("min"), parameter.name + " is not a number; use values: […]");
  } else if (low >= high) {
    report.error(fields.mark("max"), parameter.name + ": max must be above min");
  } else if (samples && fields.has("step")) {
    report.error(fields.mark("step"), parameter.name + ": give samples or step, not both");
  } else if (log && low <= 0) {
    report.error(fields.mark("min"), parameter.name + ": scale log needs min above 0");
  } else if (log && fields.has("step")) {
    report.error(fields.mark("step"), parameter.name + ": scale log takes samples, not step");
  } else if (!check_ends(parameter, fields, report)) {
    return;
  } else if (!samples && !fields.has("step")) {
    parameter.range = Range{low, high, log};  // for samplers that draw; the grid refuses it (sample_points)
  } else if (!samples && (high - low) / fields.value("step").get<double>() > static_cast<double>(kMostValues)) {
    report.error(fields.mark("step"), parameter.name + ": more than 100000 values");
  } else {
    const auto points = samples ? samples_between(low, high, fields.value("samples").get<std::size_t>(), log)
                                : steps_between(low, high, fields.value("step").get<double>());
    // As if each stood in the file: the key's own limits hold, counts are rounded to the nearest.
    Node node;
    node.type = Node::Type::scalar;
    node.mark = fields.mark(samples ? "samples" : "step");
    const bool whole = parameter.whole_from(low);
    parameter.values.reserve(points.size());
    for (const double point : points) {
      node.text = json(whole ? std::round(point) : point).dump();
      auto value = typed(*parameter.key, node, report);
      if (!value) return;  // one that does not fit says it for all
      parameter.values.push_back(*std::move(value));
    }
  }
}

void read_parameter(Parameter& parameter, const Node& node, Report& report) {
  if (!node.is_map()) {
    set_values(parameter, node, report);
    return;
  }
  const Fields fields(Section::parameter, &node, report);
  parameter.when = fields.node("when");
  const Node* values = fields.node("values");
  if (!values) {
    set_range(parameter, fields, report);
    return;
  }
  for (const char* other : {"min", "max", "samples", "step"}) {
    if (fields.given(other)) report.error(fields.mark(other), parameter.name + ": either values or a range, not both");
  }
  set_values(parameter, *values, report);
}

}  // namespace

std::optional<Parameter> find_parameter(const std::string& name) {
  for (const Section section : {Section::adapter, Section::train}) {
    const std::string prefix = std::string(info_of(section).title) + ".";
    const std::string bare = name.rfind(prefix, 0) == 0 ? name.substr(prefix.size()) : name;
    if (const Key* key = find_key(section, bare)) {
      Parameter found;
      found.name = bare;
      found.full = prefix + bare;
      found.section = section;
      found.key = key;
      return found;
    }
  }
  return std::nullopt;
}

bool is_always_there(const std::string& bare_name) {
  constexpr std::array kNeeded = {"lr", "epochs", "batch", "max_length", "config"};
  return std::find(kNeeded.begin(), kNeeded.end(), bare_name) != kNeeded.end();
}

std::vector<std::string> parameter_names() {
  std::vector<std::string> names;
  for (const Section section : {Section::adapter, Section::train}) {
    for (const Key& key : keys_of(section)) names.emplace_back(key.name);
  }
  return names;
}

std::vector<Parameter> parse_parameters(const Node* node, Report& report) {
  std::vector<Parameter> out;
  if (!node) return out;
  if (!node->is_map()) {
    report.error(node->mark, "parameters: expected a map NAME: {values: […]}, found " + describe(*node));
    return out;
  }
  for (std::size_t i = 0; i < node->items.size(); ++i) {
    auto parameter = find_parameter(node->keys[i].text);
    if (!parameter) {
      report.error(node->keys[i].mark, "parameters: '" + node->keys[i].text + "' is no key of train or adapter" +
                                           hint(node->keys[i].text, parameter_names()));
      continue;
    }
    parameter->mark = node->keys[i].mark;
    for (const Parameter& known : out) {
      if (known.full == parameter->full)
        report.error(parameter->mark, "parameters: '" + parameter->full + "' stands twice");
    }
    read_parameter(*parameter, node->items[i], report);
    out.push_back(*std::move(parameter));
  }
  return out;
}

double round_digits(double value) {
  char text[40];
  const auto end = std::to_chars(text, text + sizeof text, value, std::chars_format::scientific, 5).ptr;
  double out = value;
  std::from_chars(text, end, out);
  return out;
}

std::vector<double> samples_between(double low, double high, std::size_t points, bool log) {
  std::vector<double> out;
  for (std::size_t i = 0; i < points; ++i) {
    const double share = static_cast<double>(i) / static_cast<double>(points - 1);
    const double at = log ? low * std::pow(high / low, share) : low + (high - low) * share;
    out.push_back(i == 0 ? low : i + 1 == points ? high : round_digits(at));
  }
  return out;
}

}  // namespace fathom::sweeps
