// Adapter, fusion and finetune jobs: epochs of optimizer steps, each followed by an evaluation at the job's own depths,
// a report and a resumable checkpoint. The best epoch (the earlier on a tie) becomes the final tree,
// with keep_best the next ones too, below its epochs/.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "trainer/engine/attention.hpp"
#include "trainer/engine/evaluation.hpp"
#include "trainer/engine/job.hpp"
#include "trainer/engine/resume.hpp"
#include "trainer/engine/training.hpp"

namespace fathom::trainer {

class TrainJob final : public Job {
 public:
  TrainJob(JobSpec spec, std::vector<Input> inputs, std::filesystem::path folder, Resources& resources,
           JobEvents& events);

  bool advance() override;
  void stop() override;
  void suspend() override;
  [[nodiscard]] std::uint64_t steps() const override { return state_.progress.step; }

 private:
  enum class Phase { open, train, measure, evaluate, attend, done };

  void open();
  [[nodiscard]] Network fresh_network() const;
  void expect_rows();
  [[nodiscard]] Recipe recipe() const { return spec_.frozen_dropout ? Recipe::hf : Recipe::fast; }
  void resume();
  void train_pass();
  void report_step(const StepReport& report);
  bool epoch_trained() const;
  [[nodiscard]] bool at_rung() const;
  void begin_evaluation();
  void end_rung();
  void end_epoch();
  void save_checkpoint(const std::string& path, double objective, bool best);
  [[nodiscard]] bool out_of_patience() const;
  void end_training();
  void finish();
  [[nodiscard]] JobResult result_of(const KeptEpoch& kept) const;
  // Writes the tree of one kept epoch with this result.
  void write_epoch(const std::filesystem::path& tree, const KeptEpoch& kept, const nlohmann::json& result);
  // Writes final/ and returns the result as JSON text. The network has the best epoch's tensors then.
  std::string conclude();

  JobSpec spec_;               // drop is bound once the model is open
  std::vector<Input> inputs_;  // once opened: with whole paths where they lie below the root
  const std::filesystem::path folder_;
  Resources& resources_;
  JobEvents& events_;

  Phase phase_ = Phase::open;
  std::shared_ptr<const OpenModel> model_;
  std::shared_ptr<const OpenTask> train_;
  std::shared_ptr<const OpenTask> eval_;
  std::string data_sha256_;            // of the task and of members in folders
  std::string metric_;                 // the primary one
  std::vector<std::uint32_t> judged_;  // depths of the objective
  Network network_;
  std::optional<Training> training_;
  std::uint64_t steps_per_epoch_ = 0;
  std::uint64_t report_every_ = 1;  // steps between two points of a curve
  std::string identity_;            // of resumable checkpoints

  Checkpoint state_;
  std::vector<std::uint32_t> order_;  // rows of the epoch being trained
  std::uint64_t step_in_epoch_ = 0;
  std::optional<Evaluation> evaluation_;
  std::shared_ptr<KeptRows> kept_;  // of the training rows; null where every pass computes everything
  KeptRows::Counts kept_before_;    // when this job began
  std::optional<AttentionPass> attention_;
  std::vector<AttentionRow> attention_rows_;
  std::string last_checkpoint_;  // relative path; removed once a newer one is reported
};

}  // namespace fathom::trainer
