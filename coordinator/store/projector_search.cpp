// PointDrawn, SetChosen, Exploited: parameters and sets of jobs that were not known when their sweep was submitted.
#include <nlohmann/json.hpp>

#include "common/canonical_json.hpp"
#include "coordinator/core/event.pb.h"
#include "coordinator/store/projector.hpp"
#include "sweeps/clone.hpp"
#include "sweeps/greedy.hpp"
#include "sweeps/trial.hpp"

namespace fathom::store {

using nlohmann::json;
using I = std::int64_t;

Status Projector::drawn(const event::Event& event, Changes& changes) {
  const auto& e = event.point_drawn();
  const json point = json::parse(e.point(), nullptr, false);
  for (const std::uint64_t number : e.jobs()) {
    const I job = static_cast<I>(number);
    const json open = json::parse(one_text("SELECT settings FROM job_settings WHERE number = ?", job), nullptr, false);
    if (!point.is_object() || !open.is_object() || !open.contains("search"))
      return Error{Errc::corrupt, "event " + std::to_string(event.seq()) + " draws parameters of a job that has them"};
    const json settings = sweeps::drawn_settings(open, point);
    FATHOM_TRY(run("UPDATE job_settings SET settings = ? WHERE number = ?", canonical_json(settings), job));
    FATHOM_TRY(run("UPDATE jobs SET parameters = ?, epochs = ? WHERE number = ?", point.dump(),
                   settings.at("train").at("epochs").get<I>(), job));
    FATHOM_ASSIGN(JobRow * row, rows_.job(job));
    if (row == nullptr) return Error{Errc::corrupt, "parameters are drawn for a job that no event made"};
    row->changed = static_cast<I>(event.seq());
    if (number != e.job()) changes.jobs.push_back(JobNumber(number));
  }
  return success();
}

// From here on the fusion stands everywhere as one of a listed set.
Status Projector::set_chosen(const event::Event& event) {
  const auto& e = event.set_chosen();
  const I job = static_cast<I>(e.job());
  const std::vector<std::string> members(e.members().begin(), e.members().end());
  const json open = json::parse(one_text("SELECT settings FROM job_settings WHERE number = ?", job), nullptr, false);
  const json needs = json::parse(one_text("SELECT needs FROM job_settings WHERE number = ?", job), nullptr, false);
  if (!open.is_object() || !open.contains("fusion") || !needs.is_array())
    return Error{Errc::corrupt, "event " + std::to_string(event.seq()) + " chooses a set for a job that has none"};
  json taken = json::array();
  std::string label;
  for (const std::string& member : members) {
    label += (label.empty() ? "" : "+") + member;
    for (const json& need : needs) {
      if (need.at("name") == member) taken.push_back(need);
    }
  }
  FATHOM_TRY(run("UPDATE job_settings SET settings = ?, needs = ? WHERE number = ?",
                 canonical_json(sweeps::settings_with_set(open, members)), taken.dump(), job));
  return run("UPDATE jobs SET set_label = ? WHERE number = ?", label, job);
}

// Its settings are those it goes on with. In tables it stands by the parameters that it began with: two members may
// come to the same ones, and seeds are compared by member.
Status Projector::exploited(const event::Event& event) {
  const auto& e = event.exploited();
  const I job = static_cast<I>(e.job());
  const json point = json::parse(e.parameters(), nullptr, false);
  const json settings =
      json::parse(one_text("SELECT settings FROM job_settings WHERE number = ?", job), nullptr, false);
  if (!point.is_object() || !settings.is_object())
    return Error{Errc::corrupt, "event " + std::to_string(event.seq()) + " clones into a job without settings"};
  return run("UPDATE job_settings SET settings = ? WHERE number = ?",
             canonical_json(sweeps::cloned_settings(settings, point)), job);
}

// A job that prunes or measures one model stands in tables with the parameters and the set of that model.
Status Projector::take_parameters(const event::Event& event) {
  const auto& e = event.needs_resolved();
  if (e.inputs_size() != 1) return success();
  const I job = static_cast<I>(e.job());
  const std::string kind = one_text("SELECT kind FROM jobs WHERE number = ?", job);
  if (kind != "evaluate" && kind != "prune") return success();
  const json needs = json::parse(one_text("SELECT needs FROM job_settings WHERE number = ?", job), nullptr, false);
  if (!needs.is_array() || needs.size() != 1 || needs[0].value("contenders", json::array()).size() != 1)
    return success();
  const I input = static_cast<I>(e.inputs(0).job());
  return run(
      "UPDATE jobs SET parameters = json_patch((SELECT parameters FROM jobs WHERE number = ?1), parameters), "
      "set_label = (SELECT set_label FROM jobs WHERE number = ?1) WHERE number = ?2",
      input, job);
}

}  // namespace fathom::store
