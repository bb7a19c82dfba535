// What a simulated run saved, and what it cost.
#include <cmath>
#include <map>

#include <fmt/format.h>

#include "coordinator/simulate/simulation.hpp"
#include "sweeps/search/verdicts.hpp"
#include "sweeps/setting.hpp"

namespace fathom::simulate {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

// One setting of a group: means over its seeds.
struct Setting {
  sweeps::JobParameters parameters;
  std::size_t seeds = 0;
  double full = 0;    // best value at full budget
  double seen = 0;    // best value in the run
  bool whole = true;  // every seed Succeeded in the run
  bool stopped = false;
};

using Group = std::vector<Setting>;

std::map<std::string, Group> groups_of(const sweeps::Plan& plan, const Run& run, const Run& full) {
  std::map<std::string, Group> out;
  std::map<std::string, std::size_t> place;
  for (sweeps::JobIndex i = 0; i < plan.jobs.size(); ++i) {
    const sweeps::Job& job = plan.jobs[i];
    // The other run of a search that draws from results has other settings: what these would have come to is known
    // from their curves.
    const bool drawn = job.search != sweeps::kNoSearch;
    if (job.greedy && job.greedy->tries) continue;  // chosen from by transfer, not by setting
    if (job.epochs == 0 || (!plan.stages[job.stage].stop && !drawn && job.parameters.empty())) continue;
    Group& group = out[job.group];
    const auto [found, fresh] = place.try_emplace(job.group + "\n" + sweeps::setting_of(job), group.size());
    if (fresh) group.push_back({drawn ? run.jobs[i].drawn : job.parameters});
    Setting& setting = group[found->second];
    const bool diverged = !full.jobs[i].best || full.jobs[i].state != "succeeded";
    ++setting.seeds;
    setting.full += drawn ? run.jobs[i].whole.value_or(std::nan("")) : diverged ? std::nan("") : *full.jobs[i].best;
    setting.seen += run.jobs[i].best.value_or(std::nan(""));
    setting.whole = setting.whole && run.jobs[i].state == "succeeded";
    setting.stopped = setting.stopped || run.jobs[i].state == "stopped";
  }
  return out;
}

// The best by a value, of settings for which there is one; the earlier of equal ones.
const Setting* best_of(const Group& group, sweeps::Goal goal, double Setting::*value, bool whole_only) {
  const Setting* best = nullptr;
  for (const Setting& one : group) {
    if (!std::isfinite(one.*value) || (whole_only && !one.whole)) continue;
    const double mean = one.*value / static_cast<double>(one.seeds);
    if (best == nullptr || sweeps::better(goal, mean, best->*value / static_cast<double>(best->seeds))) best = &one;
  }
  return best;
}

ordered_json group_json(const std::string& name, const Group& group, sweeps::Goal goal) {
  const Setting* best = best_of(group, goal, &Setting::full, false);
  const Setting* chosen = best_of(group, goal, &Setting::seen, true);
  std::size_t stopped = 0;
  for (const Setting& one : group) stopped += one.stopped ? 1 : 0;
  ordered_json out = {{"group", name}, {"settings", group.size()}, {"stopped", stopped}};
  const auto mean = [](const Setting& one) { return one.full / static_cast<double>(one.seeds); };
  out["best"] =
      best == nullptr ? ordered_json() : ordered_json{{"parameters", best->parameters}, {"value", mean(*best)}};
  out["chosen"] =
      chosen == nullptr ? ordered_json() : ordered_json{{"parameters", chosen->parameters}, {"value", mean(*chosen)}};
  out["regret"] =
      best == nullptr || chosen == nullptr ? ordered_json() : ordered_json(std::abs(mean(*best) - mean(*chosen)));
  // Another setting of the same value is as good.
  out["kept"] = best != nullptr && chosen != nullptr && mean(*best) == mean(*chosen);
  return out;
}

ordered_json effort(const sweeps::Plan& plan, const Run& run) {
  std::uint64_t epochs = 0, in_stopped = 0;
  double seconds = 0;
  ordered_json states = ordered_json::object();
  for (sweeps::JobIndex i = 0; i < plan.jobs.size(); ++i) {
    const JobEnd& job = run.jobs[i];
    epochs += job.epochs;
    in_stopped += job.state == "succeeded" ? 0 : job.epochs;
    seconds += job.seconds;
    states[job.state] = states.value(job.state, 0) + 1;
  }
  return {{"outcome", run.outcome},          {"states", states},       {"makespan", run.makespan}, {"epochs", epochs},
          {"epochs_in_stopped", in_stopped}, {"slot_seconds", seconds}};
}

std::string parameters_text(const ordered_json& setting) {
  if (setting.is_null()) return "none";
  std::string out;
  const ordered_json parameters = setting.at("parameters");
  for (const auto& [name, value] : parameters.items())
    out += (out.empty() ? "" : ",") + name.substr(name.find('.') + 1) + "=" + value.dump();
  return fmt::format("{} ({:.4f})", out, setting.at("value").get<double>());
}

}  // namespace

ordered_json compare(const sweeps::Plan& plan, const Run& run, const Run& full) {
  ordered_json out = {
      {"sweep", plan.name}, {"jobs", plan.jobs.size()}, {"run", effort(plan, run)}, {"full", effort(plan, full)}};
  const auto epochs = [&](const char* which) { return out[which]["epochs"].get<double>(); };
  out["saved"] = epochs("full") == 0 ? 0.0 : 1 - epochs("run") / epochs("full");
  std::size_t kept = 0;
  double regret = 0;
  ordered_json groups = ordered_json::array();
  for (const auto& [name, group] : groups_of(plan, run, full)) {
    groups.push_back(group_json(name, group, plan.goal));
    kept += groups.back()["kept"].get<bool>() ? 1 : 0;
    if (groups.back()["regret"].is_number()) regret = std::max(regret, groups.back()["regret"].get<double>());
  }
  out["groups_kept"] = kept;
  out["worst_regret"] = regret;
  out["groups"] = std::move(groups);
  return out;
}

std::string text_of(const ordered_json& c) {
  const ordered_json& run = c.at("run");
  const ordered_json& full = c.at("full");
  std::string states;
  for (const auto& [state, count] : run.at("states").items())
    states += fmt::format("{}{} {}", states.empty() ? "" : ", ", count.get<int>(), state);
  std::string out = fmt::format("{}: {} jobs: {}\n", c.at("sweep").get<std::string>(), c.at("jobs").get<int>(), states);
  out += fmt::format(
      "{} of {} epochs, {:.0f} % saved ({} of them in jobs that did not succeed); makespan {:.0f} s of {:.0f} s\n",
      run.at("epochs").get<int>(), full.at("epochs").get<int>(), 100 * c.at("saved").get<double>(),
      run.at("epochs_in_stopped").get<int>(), run.at("makespan").get<double>(), full.at("makespan").get<double>());
  if (c.at("groups").empty()) return out;
  out += fmt::format("the best setting was kept in {} of {} groups; largest regret {:.4f}\n",
                     c.at("groups_kept").get<int>(), c.at("groups").size(), c.at("worst_regret").get<double>());
  for (const ordered_json& group : c.at("groups")) {
    out += fmt::format("  {}: {} of {} settings stopped; best {}, chosen {}\n", group.at("group").get<std::string>(),
                       group.at("stopped").get<int>(), group.at("settings").get<int>(),
                       parameters_text(group.at("best")), parameters_text(group.at("chosen")));
  }
  return out;
}

}  // namespace fathom::simulate
