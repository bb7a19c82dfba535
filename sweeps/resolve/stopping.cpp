// `stop` of a stage.
#include <array>
#include <set>

#include "sweeps/resolve/stages.hpp"

namespace fathom::sweeps {
namespace {

using nlohmann::json;

// Which methods a key belongs to, and which of them cannot do without it. Keys that are not listed belong to all.
struct Rule {
  const char* key;
  const char* methods;  // "|asha|median|"
  const char* needed = "";
};
constexpr std::array kRules = {
    Rule{"eta", "|asha|hyperband|halving|"},
    Rule{"ties", "|asha|hyperband|"},
    Rule{"variant", "|asha|"},
    Rule{"bootstrap", "|asha|hyperband|"},
    Rule{"brackets", "|asha|halving|"},
    Rule{"rungs", "|asha|hyperband|halving|"},
    Rule{"rounding", "|halving|"},
    Rule{"every", "|median|percentile|threshold|patience|"},
    Rule{"startup", "|median|percentile|"},
    Rule{"among", "|median|percentile|"},
    Rule{"window", "|median|"},
    Rule{"percentile", "|percentile|", "|percentile|"},
    Rule{"lower", "|threshold|"},
    Rule{"upper", "|threshold|"},
    Rule{"patience", "|patience|", "|patience|"},
    Rule{"min_delta", "|patience|"},
};

bool named(const char* list, const std::string& method) {
  return std::string_view(list).find("|" + method + "|") != std::string_view::npos;
}

// "asha and hyperband"
std::string spoken(const char* methods) {
  const auto list = split_words(std::string_view(methods).substr(1, std::string_view(methods).size() - 2));
  std::string out;
  for (std::size_t i = 0; i < list.size(); ++i) out += (i == 0 ? "" : i + 1 == list.size() ? " and " : ", ") + list[i];
  return out;
}

void add_options(json& out, const Fields& fields, const std::string& method, Report& report) {
  for (const Rule& rule : kRules) {
    if (named(rule.methods, method)) {
      if (fields.has(rule.key)) out[rule.key] = fields.value(rule.key);
      if (named(rule.needed, method) && !fields.given(rule.key))
        report.error(fields.mark("method"), "method: " + method + " needs '" + rule.key + "'");
    } else if (fields.given(rule.key)) {
      report.error(fields.mark(rule.key),
                   std::string(rule.key) + ": it belongs to " + spoken(rule.methods) + ", not to method " + method);
    }
  }
  if (method == "asha" && fields.value("variant") == "promote") {
    for (const char* key : {"ties", "bootstrap"}) {
      if (fields.given(key))
        report.error(fields.mark(key), std::string(key) +
                                           ": it belongs to variant stop; promote orders equal values by arrival and "
                                           "waits for eta entries by itself");
    }
  }
  if (fields.has("rungs") && fields.given("min"))
    report.error(fields.mark("min"), "min: rungs are counted down from the last one; leave out min or rungs");
  if (method != "threshold") return;
  if (!fields.given("lower") && !fields.given("upper"))
    report.error(fields.mark("method"), "method: threshold needs 'lower', 'upper' or both");
  if (fields.has("lower") && fields.has("upper") && fields.value("lower") >= fields.value("upper"))
    report.error(fields.mark("upper"), "upper: it must be above lower");
}

// Rungs in optimizer steps: how many steps a training has is known only when a worker has seen its data, so a method
// whose rungs depend on the last one has to be told it.
void add_steps(json& out, const Fields& fields, const std::string& method, Report& report) {
  constexpr std::uint64_t kMostRungs = 10'000;
  out["unit"] = "step";
  out["max"] = fields.has("max") ? fields.value("max") : json(kNoLastStep);
  for (const char* key : {"min", "max"}) {
    const bool optional =
        std::string_view(key) == "max" ? method == "asha" && !fields.given("rungs") : fields.has("rungs");
    if (!fields.given(key) && !optional)
      report.error(fields.mark("unit"), "unit: step: give '" + std::string(key) +
                                            "' in steps; how many a training has is not known before it runs");
  }
  const auto min = fields.value("min").get<std::uint64_t>(), max = out["max"].get<std::uint64_t>();
  if (fields.has("max") && min > max) report.error(fields.mark("min"), "min: it is above max");
  if (!named("|median|percentile|threshold|patience|", method) || !fields.has("max")) return;
  if ((max - std::min(min, max)) / fields.value("every").get<std::uint64_t>() >= kMostRungs)
    report.error(fields.mark(fields.given("every") ? "every" : "max"),
                 "every: jobs would be measured more than " + std::to_string(kMostRungs) +
                     " times between min and max; give larger steps");
}

}  // namespace

json parse_stop(const Fields& stage, const json& trains, const std::vector<Parameter>& parameters, std::size_t seeds,
                Report& report) {
  const Node* node = stage.node("stop");
  if (!node) return nullptr;
  const Fields fields(Section::stop, node, report);
  for (const Parameter& parameter : parameters) {
    if (parameter.full != "train.epochs") continue;
    report.error(parameter.mark,
                 "epochs: jobs of different length cannot be compared at rungs; sample it in a stage without stop");
  }
  std::set<std::uint64_t> epochs;
  for (const json& train : trains) epochs.insert(train.at("epochs").get<std::uint64_t>());
  const json& max = fields.value("max");
  const bool by_step = fields.value("unit") == "step";
  if (!by_step && fields.has("max") && epochs != std::set<std::uint64_t>{max.get<std::uint64_t>()}) {
    report.error(fields.mark("max"), "max: it has to equal train.epochs (" + std::to_string(*epochs.rbegin()) +
                                         "), over which the schedule runs");
  }
  json per = json::array({"task", "drop", "set"});
  if (fields.has("per")) per = fields.value("per");
  // One seed: with or without it in the group is the same (rule 7).
  if (!fields.has("per") && seeds < 2) per.push_back("seed");
  json out = {{"method", fields.value("method")},
              {"min", fields.value("min")},
              {"per", per},
              {"max", epochs.size() == 1 ? *epochs.begin() : 0}};
  if (fields.has("method")) add_options(out, fields, fields.value("method"), report);
  if (by_step && fields.has("method")) add_steps(out, fields, fields.value("method"), report);
  return out;
}

}  // namespace fathom::sweeps
