// A stopping rule in words.
#include "sweeps/search/rungs.hpp"
#include "sweeps/search/stopper.hpp"

#include <nlohmann/json.hpp>

#include "common/canonical_json.hpp"

namespace fathom::sweeps {
namespace {

std::string number(double value) { return canonical_json(nlohmann::json(value)); }

// "rungs at epoch 1, 3 of 9"; where the last one is not known only the first is told, or how many there are.
std::string rungs_text(const StopRule& rule) {
  const std::string unit = unit_of(rule);
  const auto rungs = rungs_of(rule);
  if (rungs.empty() && rule.rungs > 0) return std::to_string(rule.rungs) + " rungs";
  if (rungs.empty()) return "from " + unit + " " + std::to_string(rule.min);
  std::string list;
  for (std::size_t i = 0; i + 1 < rungs.size(); ++i) list += (i == 0 ? "" : ", ") + std::to_string(rungs[i]);
  if (list.empty()) return "no rung before " + unit + " " + std::to_string(rule.max);
  return std::string(rungs.size() == 2 ? "rung" : "rungs") + " at " + unit + " " + list + " of " +
         std::to_string(rule.max);
}

std::string describe_rungs(const StopRule& rule) {
  std::string out = rule.method;
  if (rule.promote) out += " that promotes";
  out += ", eta " + std::to_string(rule.eta) + ", " + rungs_text(rule);
  if (rule.method == "hyperband") out += ", a bracket from each";
  if (rule.method != "hyperband" && rule.brackets > 1) out += ", " + std::to_string(rule.brackets) + " brackets";
  if (rule.bootstrap > 0) out += ", none stops before " + std::to_string(rule.bootstrap) + " are there";
  return out;
}

}  // namespace

std::string describe(const StopRule& rule) {
  if (has_eta(rule)) return describe_rungs(rule);
  const std::string unit = unit_of(rule);
  if (rule.method == "pbt") return "pbt every " + std::to_string(rule.every) + (rule.every == 1 ? " epoch" : " epochs");
  std::string out = rule.method;
  if (rule.method == "percentile") out += " " + number(rule.percentile);
  if (rule.method == "patience") out += " " + std::to_string(rule.patience);
  if (rule.lower) out += ", below " + number(*rule.lower) + " stops";
  if (rule.upper) out += ", above " + number(*rule.upper) + " stops";
  out += ", from " + unit + " " + std::to_string(rule.min);
  if (rule.every > 1) out += " every " + std::to_string(rule.every);
  if (rule.method == "median" || rule.method == "percentile")
    out += ", startup " + std::to_string(rule.startup) + (rule.among_all ? ", among all" : "");
  return out;
}

}  // namespace fathom::sweeps
