#include "sweeps/extend.hpp"

#include <algorithm>

#include "common/canonical_json.hpp"

namespace fathom::sweeps {
namespace {

using nlohmann::json;

bool goes_on(const Job& job) {
  if (job.kind == Kind::adapter || job.kind == Kind::finetune) return true;
  return job.kind == Kind::fusion &&
         std::ranges::all_of(job.needs, [](const Need& need) { return need.contenders.empty(); });
}

}  // namespace

std::string obstacle_to_more_epochs(const Plan& plan, const Job& job) {
  if (!goes_on(job)) return {};
  const Stage& stage = plan.stages[job.stage];
  const std::string where = "stage '" + stage.name + "', task '" + job.task + "': ";
  const std::string anew = "; 'fathom fork SWEEP --set train.epochs=N' trains its jobs from the start";
  if (stage.stop) return where + "its jobs were judged at rungs up to the epochs they had" + anew;
  if (job.search != kNoSearch) return where + "sampler tpe draws other settings" + anew;
  const json train = job.settings.member("train");
  const auto& schedule = train.at("schedule").get_ref<const std::string&>();
  if (schedule != "constant")
    return where + "train.schedule " + schedule +
           " runs over train.epochs, so over more of them it is another training" + anew;
  const double warmup = train.value("warmup", 0.0);
  if (warmup > 0 && warmup < 1)
    return where + "train.warmup is a share of all steps, so with more epochs it is another training" + anew;
  return {};
}

JobId id_with_epochs(const Job& job, std::uint32_t epochs) {
  json settings = job.settings.whole();
  settings["train"]["epochs"] = epochs;
  return JobId::of(canonical_json(settings));
}

}  // namespace fathom::sweeps
