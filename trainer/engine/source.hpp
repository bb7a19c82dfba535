// The finished model that a prune or an evaluate job starts from, opened with the task that scores it.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "trainer/engine/final_tree.hpp"
#include "trainer/engine/network.hpp"
#include "trainer/report/result.hpp"

namespace fathom::trainer {

struct Source {
  Card card;  // of the source's final tree: drop, labels, maximal length
  Network network;
  std::shared_ptr<const OpenModel> model;
  std::shared_ptr<const OpenTask> eval;
  std::string metric;  // the primary one
};

// Opens FOLDER/INPUT on the settings' base model and task. JobError config when the task's labels are not the ones the
// model was trained for.
Source open_source(const JobSpec& spec, const Input& input, const std::filesystem::path& folder, Resources& resources);

// Depths the source can be measured at, out of those asked (empty: all 0..L-1), rising: a specialised model only from
// its own n on, a fine-tuned one, which has nothing to drop, at 0 only. JobError config when nothing is left or a depth
// is beyond the model.
std::vector<std::uint32_t> measurable_depths(const Source& source, const std::vector<std::uint32_t>& asked);

// The parts of a result that both kinds fill alike.
JobResult result_of(const Source& source, std::vector<ResultRow> rows, double objective, const Resources& resources);

}  // namespace fathom::trainer
