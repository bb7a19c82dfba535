#include "trainer/engine/job.hpp"

#include <nlohmann/json.hpp>

#include "trainer/engine/benchmark_job.hpp"
#include "trainer/engine/errors.hpp"
#include "trainer/engine/measure_job.hpp"
#include "trainer/engine/tensor_cores.hpp"
#include "trainer/engine/train_job.hpp"

namespace fathom::trainer {
namespace {

nlohmann::json parse(const std::string& text, const std::string& what) {
  try {
    return nlohmann::json::parse(text);
  } catch (const nlohmann::json::exception& error) {
    throw JobError(ErrorClass::config, what + " are not JSON: " + error.what());
  }
}

}  // namespace

std::unique_ptr<Job> make_job(const JobRequest& request, Resources& resources, JobEvents& events) {
  const auto settings = parse(request.settings, "settings");
  const auto inputs = request.inputs.empty() ? nlohmann::json::object() : parse(request.inputs, "inputs");
  if (settings.is_object() && settings.value("kind", nlohmann::json()) == "benchmark") {
    auto spec = parse_benchmark(settings);
    require_precision(spec.precision, resources.device());
    auto members = spec.trained ? parse_members(spec.members, inputs) : std::vector<Input>();
    return std::make_unique<BenchmarkJob>(std::move(spec), std::move(members), request.folder, resources, events);
  }
  auto spec = parse_spec(settings);
  require_precision(spec.precision, resources.device());
  auto used = parse_inputs(spec, inputs);
  spec.rungs = parse_rungs(inputs);
  spec.explored = parse_explored(inputs);
  // Two machines serve all other kinds: one trains, one only measures.
  if (trains(spec.kind))
    return std::make_unique<TrainJob>(std::move(spec), std::move(used), request.folder, resources, events);
  return std::make_unique<MeasureJob>(std::move(spec), std::move(used.front()), request.folder, resources, events);
}

}  // namespace fathom::trainer
