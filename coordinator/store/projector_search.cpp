// PointDrawn: parameters of jobs that were not known when their sweep was submitted.
#include <nlohmann/json.hpp>

#include "common/canonical_json.hpp"
#include "coordinator/core/event.pb.h"
#include "coordinator/store/projector.hpp"
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

// A job that prunes or measures one model stands in tables with the parameters of that model.
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
      "UPDATE jobs SET parameters = json_patch((SELECT parameters FROM jobs WHERE number = ?), parameters) "
      "WHERE number = ?",
      input, job);
}

}  // namespace fathom::store
