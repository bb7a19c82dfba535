// Measures how long steps of training or passes of inference take: the same networks, engines and optimizer as jobs
// that train, on drawn rows without padding. Weights of adapters and members are drawn, or those of final trees among
// the inputs. One call of advance() is one step.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "trainer/engine/benchmark_spec.hpp"
#include "trainer/engine/job.hpp"
#include "trainer/engine/network.hpp"
#include "trainer/engine/training.hpp"
#include "trainer/report/result.hpp"
#include "trainer/report/step_times.hpp"

namespace fathom::trainer {

class BenchmarkJob final : public Job {
 public:
  // `members`: spec.members of them where spec.trained, else none.
  BenchmarkJob(BenchmarkSpec spec, std::vector<Input> members, std::filesystem::path folder, Resources& resources,
               JobEvents& events);

  bool advance() override;
  // Nothing is kept of a measurement that is not complete.
  void stop() override;
  // It is repeated from its start: times of two attempts are not of one measurement.
  void suspend() override { done_ = true; }
  [[nodiscard]] std::uint64_t steps() const override { return measured_ + times_.size(); }

 private:
  void open();
  void begin_round();
  // With fresh weights, or those of the members; `place`: which one, where it is an adapter's.
  [[nodiscard]] Network make_network(std::uint64_t seed, std::uint32_t place) const;
  [[nodiscard]] StepTimes train_step(const LabelledBatch& batch);
  [[nodiscard]] StepTimes infer_step(const LabelledBatch& batch);
  void end_depth();
  void finish();

  BenchmarkSpec spec_;
  std::vector<Input> members_;
  const std::filesystem::path folder_;
  Resources& resources_;
  JobEvents& events_;

  std::shared_ptr<const OpenModel> model_;
  OpenTask task_;                            // drawn rows
  std::vector<LabelledBatch> batches_;       // on the device; steps take turns with them
  std::vector<Network> networks_;            // of the round
  std::optional<Training> training_;         // measure: train
  double forward_at_ = 0, backward_at_ = 0;  // when the step that runs had come so far
  std::uint32_t round_ = 0, step_ = 0;
  std::vector<StepTimes> times_;  // at this depth
  std::vector<ResultRow> rows_;   // of the depths that are done
  std::uint64_t measured_ = 0;    // steps at these
  double seconds_ = 0;            // of the measured steps
  bool done_ = false;
};

// `count` rows of `length` tokens drawn from the vocabulary, without the padding token, all different; labels 0 and 1.
TokenizedRows drawn_rows(const ModelConfig& model, std::uint32_t count, std::uint32_t length, std::uint64_t seed);

}  // namespace fathom::trainer
