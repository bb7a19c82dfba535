// The outcome of a job as docs/protocol.md "result" writes it. Plain values; no Torch.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace fathom::trainer {

// One measured value.
struct ResultRow {
  std::uint32_t epoch = 0;  // 1 = after the first; 0 where nothing was trained
  std::uint32_t depth = 0;  // layers 0..depth-1 ran without adapters
  std::string metric;
  double value = 0;
  bool primary = false;        // the metric that the objective is made of
  std::string split = "eval";  // "eval_mismatched": MNLI's second file; never primary
};

// Mean attention that a fusion layer gives to one adapter.
struct AttentionRow {
  std::uint32_t layer = 0;
  std::string site;  // "output_adapter" | "mh_adapter"
  std::string adapter;
  double mean_weight = 0;                // over all tokens of the training set; the adapters of a layer sum to 1
  std::uint32_t rank = 0;                // 1 = most attended in its layer
  std::optional<std::uint32_t> kept_at;  // prune jobs: how many stayed with it; absent: removed, or not pruned
};

struct EpochScore {
  std::uint32_t epoch = 0;
  double objective = 0;
};

struct JobResult {
  double objective = 0;                        // of `epoch`
  std::uint32_t epoch = 0;                     // the best one, the earlier on a tie
  std::vector<ResultRow> rows;                 // of `epoch`
  std::vector<EpochScore> best_epochs;         // jobs that keep several: those that are kept, the best first
  std::vector<AttentionRow> attention;         // fusion and prune jobs
  std::vector<std::vector<std::string>> kept;  // prune jobs: adapter names per layer, in the set's order
  std::vector<std::string> labels;
  std::uint64_t steps = 0;     // optimizer steps
  std::uint32_t epochs = 0;    // finished
  std::uint64_t examples = 0;  // training rows seen, repeats counted
  std::uint64_t tokens = 0;    // without padding
  double seconds = 0;          // spent in this job's own passes, earlier attempts of a resumed run included
  double train_seconds = 0;    // of them, spent in optimizer steps
  std::string base_sha256;
  std::string data_sha256;
  std::string device;
};

// Adds steps_per_s (over the training seconds) and the process's peak memory (bytes; shared by all jobs of the
// trainer).
nlohmann::json to_json(const JobResult& result);

nlohmann::json to_json(const std::vector<ResultRow>& rows);
std::vector<ResultRow> rows_from_json(const nlohmann::json& rows);

}  // namespace fathom::trainer
