// Parameters of clones in jobs and settings.
#include "sweeps/clone.hpp"
#include "sweeps/expand/builder.hpp"

namespace fathom::sweeps {

using nlohmann::json;

namespace {

json without_nulls(json point) {
  for (auto one = point.begin(); one != point.end();) one = one->is_null() ? point.erase(one) : std::next(one);
  return point;
}

void set_parameters(Job& job, const json& point) {
  for (const auto& [name, value] : point.items()) {
    if (value.is_null()) {
      job.parameters.erase(name);
    } else {
      job.parameters.set(name, value);
    }
  }
}

}  // namespace

std::optional<Clone> clone_among(const StopRule& rule, JobIndex member, std::uint32_t rung,
                                 const std::vector<JobIndex>& donors,
                                 const std::function<const Job&(JobIndex)>& job_of) {
  const std::vector<std::string> names = explored(rule);
  const auto point_of = [&](JobIndex donor) {
    json point = json::object();
    const auto& parameters = job_of(donor).parameters;
    for (const std::string& name : names) {
      if (const json* found = parameters.find(name)) point[name] = *found;
    }
    return point;
  };
  const auto allowed = [&](const json& point) {
    Job job = job_of(member);
    for (const std::string& name : names) job.parameters.erase(name);
    set_parameters(job, point);
    return !is_excluded(job, rule.excludes);
  };
  return draw_clone(rule, member, rung, donors, point_of, allowed);
}

json cloned_settings(json settings, const json& point) {
  json names = json::array();
  for (const auto& [name, value] : point.items()) names.push_back(name);
  settle(settings, without_nulls(point), names);
  return settings;
}

Job cloned_job(const Job& member, const json& point) {
  Job out = member;
  set_parameters(out, point);
  out.settings = JobSettings(cloned_settings(member.settings.whole(), point));
  return out;
}

}  // namespace fathom::sweeps
