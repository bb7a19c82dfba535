#include "trainer/engine/source.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>

#include "trainer/adapters/label_order.hpp"
#include "trainer/engine/errors.hpp"
#include "trainer/engine/evaluation.hpp"

namespace fathom::trainer {

namespace {

// Ids are positions in a list of names: with another order a good model would score as a bad one.
void match_labels(Source& source, const std::string& task) {
  Head head = *source.network.head;
  if (!has_label_names(head)) head.config.labels = source.card.labels;
  auto matched = with_labels(head, source.eval->labels);
  if (!matched)
    throw JobError(ErrorClass::config,
                   fmt::format("task {} has the labels [{}], the source model was trained for [{}]", task,
                               fmt::join(source.eval->labels, ", "), fmt::join(head.config.labels, ", ")));
  source.network.head = std::make_shared<Head>(std::move(*matched));
  source.card.labels = source.eval->labels;
}

}  // namespace

Source open_source(const JobSpec& spec, const Input& input, const std::filesystem::path& folder, Resources& resources) {
  Source source;
  const auto tree = folder / input.folder;
  source.card = read_card(tree);
  source.model = resources.model(spec.model);
  source.network = load_network(tree, source.model->base);
  source.network.precision = spec.precision;
  source.eval = resources.task(spec.model, spec.task, data::Split::eval, source.card.max_length);
  match_labels(source, spec.task_name);
  source.metric = judged_metric(spec, *source.eval);
  return source;
}

std::vector<std::uint32_t> measurable_depths(const Source& source, const std::vector<std::uint32_t>& asked) {
  if (source.network.whole) return {0};
  const auto layers = source.network.layers();
  std::vector<std::uint32_t> depths = asked;
  if (depths.empty()) {
    depths.resize(layers);
    std::iota(depths.begin(), depths.end(), 0U);
  }
  std::sort(depths.begin(), depths.end());
  depths.erase(std::unique(depths.begin(), depths.end()), depths.end());
  if (depths.back() >= layers)
    throw JobError(ErrorClass::config,
                   fmt::format("settings: evaluate.depths asks for {}, but the model has {} layers: at most {}",
                               depths.back(), layers, layers - 1));
  const auto& drop = source.card.drop;
  // Below its own n a specialised model has no adapters: those depths would repeat the n-th.
  if (!drop.robust) std::erase_if(depths, [&](auto depth) { return depth < drop.lo; });
  if (depths.empty())
    throw JobError(
        ErrorClass::config,
        fmt::format("settings: evaluate.depths are all below {}, the depth the model was trained for", drop.lo));
  return depths;
}

JobResult result_of(const Source& source, std::vector<ResultRow> rows, double objective, const Resources& resources) {
  JobResult result;
  result.objective = objective;
  result.rows = std::move(rows);
  result.labels = source.card.labels;
  result.base_sha256 = source.model->sha256;
  result.data_sha256 = source.eval->data_sha256;
  result.device = resources.device();
  return result;
}

}  // namespace fathom::trainer
