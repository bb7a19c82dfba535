// Resumable checkpoints: one safetensors file with everything needed to continue after any step as if nothing had
// happened. Random streams are functions of (seed, step), so no generator state is in it.
//   param/NAME              trained tensors after the step
//   optim/NAME/{exp_avg,exp_avg_sq,step}   AdamW state
//   best/NAME               trained tensors of the best epoch, where those are other ones
//   kept/EPOCH/NAME         the same of the further epochs that are kept (keep_best)
//   metadata "fathom"       JSON: format, settings hash, counters, rows of the best epochs
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "common/result.hpp"
#include "trainer/checkpoint/tensors.hpp"
#include "trainer/engine/spec.hpp"
#include "trainer/optim/adamw.hpp"
#include "trainer/report/result.hpp"

namespace fathom::trainer {

// Where a training job stands between two steps; everything besides tensors.
struct Progress {
  std::uint32_t epoch = 0;  // finished
  std::uint64_t step = 0;   // optimizer steps
  std::uint64_t examples = 0;
  std::uint64_t tokens = 0;
  double seconds = 0;        // of this job's passes
  double train_seconds = 0;  // of its optimizer steps
  std::uint64_t rung = 0;    // the step after which it was measured last, inside an epoch
};

// An epoch whose model stays.
struct KeptEpoch {
  std::uint32_t epoch = 0;
  double objective = 0;
  std::vector<ResultRow> rows;
  std::vector<at::Tensor> tensors;  // trained ones, in the order of the parameters
};

struct Checkpoint {
  Progress progress;
  std::vector<KeptEpoch> best;  // the best first, on a tie the earlier; empty: nothing measured
  bool between_epochs = false;  // the tensors of progress.epoch, if it is kept, are the current ones and stored once

  [[nodiscard]] std::uint32_t best_epoch() const { return best.empty() ? 0 : best.front().epoch; }
  [[nodiscard]] double best_objective() const { return best.empty() ? 0 : best.front().objective; }
};

// Puts an epoch in its place among the `limit` best, of which the last falls out. On a tie the earlier one stays before
// it. `tensors`: asked only when the epoch is kept.
void keep_best(std::vector<KeptEpoch>& best, KeptEpoch epoch, bool maximize, std::size_t limit,
               const std::function<std::vector<at::Tensor>()>& tensors);

// What of a job's settings a checkpoint has to have been made with. Without the number of epochs where no step depends
// on it (a constant schedule whose warmup is not a share): a job may then go on from one that was to train fewer. Nor
// with what is explored: members of a population go on from each other's.
nlohmann::json resumable_settings(const JobSpec& spec);

// SHA-256 of the canonical settings and of what they name (base and data): a checkpoint continues only the same job.
std::string resume_identity(const std::string& settings_json, const std::string& base_sha256,
                            const std::string& data_sha256);

// Writes `file` so that it is whole or absent after a crash. JobError disk.
void write_checkpoint(const std::filesystem::path& file, const std::string& identity, const Checkpoint& checkpoint,
                      const AdamW& optimizer);

// Restores parameters and optimizer state and returns the rest. Error with nothing changed when the file is broken,
// belongs to another job or does not fit the parameters.
Result<Checkpoint> read_checkpoint(const std::filesystem::path& file, const std::string& identity, AdamW& optimizer);

}  // namespace fathom::trainer
