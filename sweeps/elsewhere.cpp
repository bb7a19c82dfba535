#include "sweeps/elsewhere.hpp"

#include <algorithm>
#include <map>

#include "sweeps/expand/expander.hpp"
#include "sweeps/resolve/conditions.hpp"
#include "sweeps/setting.hpp"

namespace fathom::sweeps {
namespace {

std::optional<nlohmann::json> column_in(const Job& job, const std::string& stage, const std::string& column) {
  if (column == "recipe" || column == "precision") return job.settings.member(column);
  return column_of(job, stage, column);
}

}  // namespace

std::string name_of(const Elsewhere& asked) { return "sweep:" + asked.sweep + "/" + asked.stage; }

std::vector<Contender> contenders_in(const Plan& plan, const Elsewhere& asked,
                                     const std::function<const Job&(JobIndex)>& job_at, std::string& why) {
  const auto stage =
      std::find_if(plan.stages.begin(), plan.stages.end(), [&](const Stage& one) { return one.name == asked.stage; });
  if (stage == plan.stages.end() || stage->kind != Kind::adapter) {
    why = "sweep " + asked.sweep + " has no adapter stage '" + asked.stage + "'";
    return {};
  }
  std::vector<Contender> out;
  std::map<std::string, std::size_t> places;  // of a setting
  for (JobIndex i = stage->first; i < stage->first + stage->count; ++i) {
    const Job& job = job_at(i);
    if (job.task != asked.task || (!asked.drop.empty() && job.drop != asked.drop)) continue;
    if (asked.seed && job.seed != *asked.seed) continue;
    if (!meets(asked.where, [&](const std::string& column) { return column_in(job, asked.stage, column); })) continue;
    const auto [place, fresh] = places.try_emplace(setting_of(job), out.size());
    if (fresh) out.emplace_back();
    out[place->second].jobs.push_back(i);
  }
  if (out.empty())
    why = name_of(asked) + " has no adapter for '" + asked.task + "'" +
          (asked.drop.empty() ? "" : " with drop " + asked.drop) + (asked.where.empty() ? "" : " that meets `where`");
  return out;
}

}  // namespace fathom::sweeps
