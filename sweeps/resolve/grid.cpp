// The points of a stage: axes crossed or drawn from, zipped parameters on one axis, then `when`.
#include <algorithm>
#include <functional>
#include <set>

#include <boost/unordered/unordered_flat_set.hpp>

#include "sweeps/resolve/parameters.hpp"
#include "sweeps/schema/fields.hpp"
#include "sweeps/search/draws.hpp"
#include "sweeps/search/space.hpp"

namespace fathom::sweeps {
namespace {

using nlohmann::json;

constexpr std::size_t kMostPoints = 100'000;

using Axis = std::vector<const Parameter*>;  // parameters that advance together; equal counts of values

const Parameter* find(const std::vector<Parameter>& parameters, const std::string& name) {
  const auto asked = find_parameter(name);
  for (const Parameter& parameter : parameters) {
    if (asked && parameter.full == asked->full) return &parameter;
  }
  return nullptr;
}

// The parameters of one zip list, or nothing after reporting.
Axis zipped(const Node& list, const std::vector<Parameter>& parameters, Report& report) {
  Axis axis;
  const auto names = texts_of(list, "zip", report);
  std::vector<std::string> known;
  for (const Parameter& one : parameters) known.push_back(one.name);
  bool fine = true;
  for (std::size_t i = 0; names && i < names->size(); ++i) {
    const Mark& at = list.is_list() ? list.items[i].mark : list.mark;
    const Parameter* parameter = find(parameters, (*names)[i]);
    if (!parameter) {
      report.error(at, "zip: '" + (*names)[i] + "' is not one of the sampled parameters" + hint((*names)[i], known));
      fine = false;
    } else if (parameter->range) {
      report.error(at, "zip: '" + parameter->name + "' is a range; zipped parameters are lists of equal length");
      fine = false;
    } else if (!axis.empty() && axis.front()->values.size() != parameter->values.size()) {
      report.error(at, "zip: '" + axis.front()->name + "' has " + std::to_string(axis.front()->values.size()) +
                           " values and '" + parameter->name + "' has " + std::to_string(parameter->values.size()));
      fine = false;
    } else {
      axis.push_back(parameter);
    }
  }
  return fine ? axis : Axis{};
}

std::vector<Axis> axes_of(const std::vector<Parameter>& parameters, const Node* zip, Report& report) {
  std::vector<Axis> axes;
  std::set<const Parameter*> used;
  if (zip && !zip->is_list())
    report.error(zip->mark, "zip: expected a list of lists of parameter names, found " + describe(*zip));
  for (std::size_t i = 0; zip && zip->is_list() && i < zip->items.size(); ++i) {
    Axis axis = zipped(zip->items[i], parameters, report);
    for (const Parameter* parameter : axis) {
      if (!used.insert(parameter).second)
        report.error(zip->items[i].mark, "zip: '" + parameter->name + "' is zipped twice");
    }
    if (!axis.empty()) axes.push_back(std::move(axis));
  }
  for (const Parameter& parameter : parameters) {
    if (!used.contains(&parameter)) axes.push_back({&parameter});
  }
  // The parameters are sorted by name: an axis stands where its first name does.
  for (Axis& axis : axes) std::sort(axis.begin(), axis.end());
  std::sort(axes.begin(), axes.end(), [](const Axis& a, const Axis& b) { return a.front() < b.front(); });
  return axes;
}

struct When {
  const Parameter* parameter;
  json conditions;              // on "param.FULL"
  std::set<std::string> needs;  // full names it looks at
};

std::vector<When> parse_whens(const std::vector<Parameter>& parameters, Report& report) {
  std::vector<When> whens;
  for (const Parameter& parameter : parameters) {
    if (!parameter.when) continue;
    if (is_always_there(parameter.name)) {
      report.error(parameter.when->mark, "when: every job needs '" + parameter.name + "'; it cannot be absent");
      continue;
    }
    const auto column = [&](const std::string& name) -> std::optional<Column> {
      const Parameter* other = find(parameters, name);
      if (!other || other == &parameter) return std::nullopt;
      return Column{other->full, *other->key};
    };
    std::vector<std::string> others;
    for (const Parameter& other : parameters) others.push_back(other.name);
    const Node sampled = without(*parameter.when, [&](const Node& key) {
      if (!find_parameter(key.text) || find(parameters, key.text)) return false;
      report.error(key.mark, "when: '" + key.text + "' is not sampled here; a condition looks at other `parameters`");
      return true;
    });
    if (auto conditions = parse_conditions(sampled, "when", column, others, report)) {
      When when{&parameter, *conditions, {}};
      for (const auto& [name, tests] : conditions->items()) when.needs.insert(name);
      whens.push_back(std::move(when));
    }
  }
  return whens;
}

// So that a parameter is judged after those it looks at.
std::vector<When> in_order(std::vector<When> whens, Report& report) {
  std::vector<When> ordered;
  while (!whens.empty()) {
    const auto ready = std::find_if(whens.begin(), whens.end(), [&](const When& when) {
      return std::none_of(whens.begin(), whens.end(),
                          [&](const When& other) { return when.needs.contains(other.parameter->full); });
    });
    if (ready == whens.end()) {
      report.error(whens.front().parameter->when->mark, "when: these parameters wait for each other");
      return {};
    }
    ordered.push_back(std::move(*ready));
    whens.erase(ready);
  }
  return ordered;
}

void apply(const std::vector<When>& whens, json& point) {
  for (const When& when : whens) {
    const auto value = [&](const std::string& full) -> std::optional<json> {
      const auto found = point.find(full);
      return found == point.end() ? std::nullopt : std::optional<json>(*found);
    };
    if (!meets(when.conditions, value)) point.erase(when.parameter->full);
  }
}

// The combination number `index`; the last axis is the fastest.
json crossed(const std::vector<Axis>& axes, std::size_t index) {
  json point = json::object();
  for (auto axis = axes.rbegin(); axis != axes.rend(); ++axis) {
    const std::size_t length = std::max<std::size_t>(axis->front()->values.size(), 1);
    for (const Parameter* parameter : *axis) {
      if (!parameter->values.empty()) point[parameter->full] = parameter->values[index % length];
    }
    index /= length;
  }
  return point;
}

// The value at a place of [0, 1): of a list one of its values, of a range a value as even on its scale.
json value_at(const Parameter& parameter, double place) {
  if (!parameter.range) return parameter.values[static_cast<std::size_t>(place * parameter.values.size())];
  const auto& [low, high, log] = *parameter.range;
  return number_json(Dimension{{}, {}, low, high, log, parameter.whole_from(low)}.at(place));
}

// Draws of a range are values between its ends, which have to mean one thing.
void check_ranges(const std::vector<Parameter>& parameters, Report& report) {
  for (const Parameter& parameter : parameters) {
    if (!parameter.range || !parameter.key->whole_from_one) continue;
    if (parameter.range->low < 1 && parameter.range->high >= 1)
      report.error(parameter.mark, parameter.name +
                                       ": below 1 it is a share of all steps, from 1 on a number of steps; a range "
                                       "that is drawn from lies on one side: give it max below 1, or min from 1");
  }
}

// Joint draws. Parameters of one axis share their coordinate.
std::vector<json> drawn(const std::vector<Axis>& axes, const Search& search) {
  std::vector<json> out;
  for (const auto& place : unit_points(search.sampler, search.trials, axes.size(), search.seed)) {
    json point = json::object();
    for (std::size_t i = 0; i < axes.size(); ++i) {
      for (const Parameter* parameter : axes[i]) {
        if (!parameter->values.empty() || parameter->range) point[parameter->full] = value_at(*parameter, place[i]);
      }
    }
    out.push_back(std::move(point));
  }
  return out;
}

std::vector<json> all_combinations(const std::vector<Axis>& axes, const Mark& at, Report& report) {
  std::size_t total = 1;
  for (const Axis& axis : axes) {
    total *= std::max<std::size_t>(axis.front()->values.size(), 1);  // an empty axis was reported already
    if (total > kMostPoints) {
      report.error(at, "parameters: more than 100000 combinations");
      return {json::object()};
    }
  }
  std::vector<json> out;
  out.reserve(total);
  for (std::size_t index = 0; index < total; ++index) out.push_back(crossed(axes, index));
  return out;
}

// Takes out points that stand before. Values of a parameter have one type, so equal points are the same text.
void keep_first(std::vector<json>& points) {
  const auto hash = [](const json* point) { return std::hash<json>{}(*point); };
  const auto equal = [](const json* a, const json* b) { return *a == *b; };
  boost::unordered_flat_set<const json*, decltype(hash), decltype(equal)> seen(points.size(), hash, equal);
  std::vector<bool> again(points.size());
  bool any = false;
  for (std::size_t i = 0; i < points.size(); ++i) {
    again[i] = !seen.insert(&points[i]).second;
    any = any || again[i];
  }
  if (!any) return;
  std::vector<json> first;
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (!again[i]) first.push_back(std::move(points[i]));
  }
  points = std::move(first);
}

void sort_by_name(std::vector<Parameter>& parameters) {
  std::sort(parameters.begin(), parameters.end(),
            [](const Parameter& a, const Parameter& b) { return std::tie(a.name, a.full) < std::tie(b.name, b.full); });
}

}  // namespace

Search read_search(const Node* node, Report& report) {
  const std::size_t before = report.told();
  const Fields fields(Section::search, node, report);
  Search out;
  out.flawed = report.told() != before;
  if (out.flawed) return out;  // what else is missing depends on the sampler that was meant
  out.sampler = fields.value("sampler");
  if (out.sampler == "grid") {
    for (const char* key : {"trials", "seed"}) {
      if (fields.given(key))
        report.error(fields.mark(key), std::string(key) +
                                           ": a grid takes every combination; it belongs to the samplers "
                                           "random, sobol and tpe");
    }
  }
  if (out.sampler != "tpe" && fields.given("startup"))
    report.error(fields.mark("startup"), "startup: it belongs to the sampler tpe");
  if (out.sampler == "grid") return out;
  if (!fields.given("trials")) report.error(fields.mark("sampler"), "sampler: " + out.sampler + " needs 'trials'");
  if (fields.has("trials")) out.trials = fields.value("trials");
  out.seed = fields.value("seed");
  out.startup = fields.value("startup");
  return out;
}

json search_space(std::vector<Parameter> parameters, const SampleOptions& options, Report& report) {
  sort_by_name(parameters);
  check_ranges(parameters, report);
  const auto axes = axes_of(parameters, options.zip, report);
  const auto whens = in_order(parse_whens(parameters, report), report);
  json dimensions = json::array();
  for (const Axis& axis : axes) {
    json one = {{"names", json::array()}};
    for (const Parameter* parameter : axis) one["names"].push_back(parameter->full);
    const Parameter& first = *axis.front();
    if (first.range) {
      const auto& [low, high, log] = *first.range;
      one.update({{"low", low}, {"high", high}, {"log", log}, {"whole", first.whole_from(low)}});
    } else {
      one["rows"] = json::array();
      for (std::size_t row = 0; row < first.values.size(); ++row) {
        json values = json::array();
        for (const Parameter* parameter : axis) values.push_back(parameter->values[row]);
        one["rows"].push_back(std::move(values));
      }
      if (first.values.empty()) return nullptr;  // reported
    }
    dimensions.push_back(std::move(one));
  }
  if (dimensions.empty()) return nullptr;
  json when = json::array();
  for (const When& one : whens) when.push_back({one.parameter->full, one.conditions});
  return {
      {"seed", options.search.seed}, {"startup", options.search.startup}, {"dimensions", dimensions}, {"when", when}};
}

json sample_points(std::vector<Parameter> parameters, const SampleOptions& options, Report& report) {
  sort_by_name(parameters);
  const auto axes = axes_of(parameters, options.zip, report);
  const auto whens = in_order(parse_whens(parameters, report), report);
  // Draws of nothing are one job.
  const bool grid = options.search.sampler == "grid" || axes.empty();
  for (const Parameter& parameter : parameters) {
    // What was meant by a sampler that nobody knows may well draw from ranges.
    if (grid && !options.search.flawed && parameter.range)
      report.error(parameter.mark, parameter.name + ": a range needs samples or step, or a sampler that draws from it");
  }
  if (!grid) check_ranges(parameters, report);
  json out = json::array();
  auto& points = out.get_ref<json::array_t&>();
  points = grid ? all_combinations(axes, options.at, report) : drawn(axes, options.search);
  for (json& point : points) apply(whens, point);
  keep_first(points);
  if (points.empty()) points.push_back(json::object());  // the missing `trials` was reported
  return out;
}

}  // namespace fathom::sweeps
