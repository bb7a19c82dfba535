// Stages whose points are drawn while they run: what of them is known at expansion, and how a drawn point gets in.
#include "sweeps/expand/builder.hpp"
#include "sweeps/resolve/conditions.hpp"
#include "sweeps/search/space.hpp"
#include "sweeps/trial.hpp"

namespace fathom::sweeps {

using nlohmann::json;

bool is_drawn(const json& stage) { return stage.contains("tpe"); }

std::size_t settings_in(const json& stage) {
  return is_drawn(stage) ? stage.at("tpe").at("trials").get<std::size_t>() : stage.at("points").size();
}

void settle(json& settings, const json& point, const json& sampled) {
  if (settings.contains("adapter")) {
    if (const auto config = point.find("adapter.config"); config != point.end())
      settings["adapter"]["config"] = *config;
    fill_adapter(settings["adapter"]);
  }
  apply_point(settings, point, sampled);
  leave_out_idle(settings);
}

void take_point(json& settings, const json* point, const json& stage) {
  if (point != nullptr) return settle(settings, *point, stage.at("parameters"));
  apply_point(settings, json::object(), stage.at("parameters"));
  settings["search"] = {{"sampler", "tpe"}, {"space", stage.at("tpe").at("space")}, {"exclude", stage.at("exclude")}};
}

std::uint32_t Builder::begin_search() {
  TrialGroup search;
  search.space = std::make_shared<const Space>(stage().at("tpe").at("space"));
  search.excludes = stage().at("exclude");
  search.trials.resize(settings_in(stage()));
  out_.plan.searches.push_back(std::move(search));
  return static_cast<std::uint32_t>(out_.plan.searches.size() - 1);
}

std::string Builder::drawn_later(const json& where, std::size_t from) const {
  const bool open = !models_[from].empty() && job(models_[from].front().job).search != kNoSearch;
  for (const json& name : open ? sweep.at("stages")[from].at("parameters") : json::array()) {
    if (where.contains("param." + name.get<std::string>()))
      return name.get<std::string>() + " of stage '" + stage_name(from) +
             "' is drawn while the sweep runs (sampler tpe), so `where` cannot look at it; choose with best";
  }
  return "";
}

bool Builder::can_draw(const Job& open) {
  bool modelled = false;
  if (!draw_point(out_.plan, open, {}, modelled).is_null()) return true;
  problem("exclude: it leaves no point of `parameters` to draw for task '" + open.task + "', drop " + open.drop,
          "exclude");
  return false;
}

json drawn_settings(json settings, const json& point) {
  json sampled = json::array();
  const json search = settings.at("search");
  for (const json& dimension : search.at("space").at("dimensions")) {
    for (const json& name : dimension.at("names")) sampled.push_back(name);
  }
  settings.erase("search");
  settings.erase("trial");
  settle(settings, point, sampled);
  return settings;
}

Job drawn_job(const Job& open, const json& point) {
  Job out = open;
  out.parameters = JobParameters(point);
  const json settings = drawn_settings(open.settings.whole(), point);
  out.epochs = settings.at("train").at("epochs");
  out.settings = JobSettings(settings);
  return out;
}

json draw_point(const Plan& plan, const Job& open, const std::vector<Observation>& seen, bool& modelled) {
  const TrialGroup& search = plan.searches[open.search];
  const auto allowed = [&](const json& point) {
    Job job = open;
    job.parameters = JobParameters(point);
    return !is_excluded(job, search.excludes);
  };
  Drawn drawn = draw_tpe(*search.space, plan.goal, open.trial, seen, allowed);
  // What expand() found at the first trial is there for every one.
  if (drawn.point.is_null()) drawn = draw_tpe(*search.space, plan.goal, 0, {}, allowed);
  modelled = drawn.modelled;
  return std::move(drawn.point);
}

}  // namespace fathom::sweeps
