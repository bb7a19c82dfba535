// What is wrong with a file only when its jobs are made: members that no stage provides, conditions that nothing meets.
#include <algorithm>
#include <numeric>
#include <set>
#include <string_view>
#include <utility>

#include "sweeps/expand/expander.hpp"
#include "sweeps/resolve/stages.hpp"

namespace fathom::sweeps {
namespace {

using nlohmann::json;

// The value of "needs.where", or its key where the value is a map or a list, of which little would be underlined.
Mark mark_of(const EarlierStage& stage, std::string_view key) {
  const Node* node = stage.node;
  Mark at = stage.mark;
  while (!key.empty() && node) {
    const std::string_view name = key.substr(0, key.find('.'));
    const Node* value = node->find(name);
    if (!value) break;
    for (std::size_t i = 0; i < node->items.size(); ++i) {
      if (&node->items[i] == value) at = value->is_scalar() ? value->mark : node->keys[i].mark;
    }
    node = value;
    key.remove_prefix(std::min(name.size() + 1, key.size()));
  }
  return key.empty() ? at : stage.mark;
}

// The sound stages of a sweep as one of their own, and which they are.
std::pair<json, std::vector<std::size_t>> sound_part(const json& resolved, const std::vector<EarlierStage>& stages) {
  json out = resolved;
  out["name"] = "";
  out["stages"] = json::array();
  out.erase("notify");
  std::vector<std::size_t> chosen, places(stages.size());
  for (std::size_t i = 0; i < stages.size(); ++i) {
    if (!stages[i].sound) continue;
    json stage = resolved.at("stages")[i];
    for (json* from : inputs_of(stage)) {
      for (json& place : *from) place = places[place.get<std::size_t>()];
    }
    places[i] = chosen.size();
    chosen.push_back(i);
    out["stages"].push_back(std::move(stage));
  }
  return {std::move(out), std::move(chosen)};
}

std::vector<std::size_t> all_of(const std::vector<EarlierStage>& stages) {
  std::vector<std::size_t> out(stages.size());
  std::iota(out.begin(), out.end(), std::size_t{0});
  return out;
}

// `places`: of the stages of the expansion among those of the file.
void tell(const Expansion& out, const std::vector<EarlierStage>& stages, const std::vector<std::size_t>& places,
          Report& report) {
  // The fusions that are tried for a stage stand in its place: what is wrong with both is said once.
  std::set<std::pair<int, std::string>> said;
  for (const ExpandProblem& problem : out.problems) {
    const EarlierStage& stage = stages[places.at(problem.stage)];
    if (said.emplace(stage.mark.line, problem.message).second)
      report.error(mark_of(stage, problem.key), problem.message);
  }
}

}  // namespace

std::vector<json*> inputs_of(json& stage) {
  std::vector<json*> out;
  for (const char* path : {"/source/from", "/needs/from", "/benchmark/source/from"}) {
    const json::json_pointer pointer(path);
    if (stage.contains(pointer)) out.push_back(&stage.at(pointer));
  }
  return out;
}

std::optional<Plan> check_expansion(const json& resolved, const std::vector<EarlierStage>& stages, bool identities,
                                    Report& report) {
  if (report.clean()) {
    Expansion out = expand_resolved(resolved, 0, identities);
    tell(out, stages, all_of(stages), report);
    if (out.problems.empty() && out.plan.jobs.empty()) report.error(stages.front().mark, "the sweep makes no job");
    if (identities && report.clean()) return std::move(out.plan);
    return std::nullopt;
  }
  const auto [part, places] = sound_part(resolved, stages);
  if (places.empty()) return std::nullopt;
  try {
    tell(expand_resolved(part, 0, false), stages, places, report);
  } catch (const json::exception&) {
    // A mistake outside of these stages, which is told, left a gap that they need. They are checked when it is mended.
  }
  return std::nullopt;
}

}  // namespace fathom::sweeps
