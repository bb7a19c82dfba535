// Jobs that train nothing: evaluate measures a finished model at every depth asked for; prune removes the least
// attended adapters from each layer of a fusion, measures what is left and saves it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "trainer/engine/attention.hpp"
#include "trainer/engine/evaluation.hpp"
#include "trainer/engine/job.hpp"
#include "trainer/engine/source.hpp"

namespace fathom::trainer {

class MeasureJob final : public Job {
 public:
  MeasureJob(JobSpec spec, Input input, std::filesystem::path folder, Resources& resources, JobEvents& events);

  bool advance() override;
  // Nothing is kept of a measurement that is not complete.
  void stop() override;
  // It is repeated from its start.
  void suspend() override { phase_ = Phase::done; }
  [[nodiscard]] std::uint64_t steps() const override { return 0; }

 private:
  enum class Phase { open, attend, evaluate, done };

  void open();
  void prune();
  void begin_evaluation();
  void finish();

  const JobSpec spec_;
  const Input input_;
  const std::filesystem::path folder_;
  Resources& resources_;
  JobEvents& events_;

  Phase phase_ = Phase::open;
  Source source_;
  double seconds_ = 0;                      // of this job's passes
  std::optional<AttentionPass> attention_;  // prune
  std::vector<AttentionRow> attention_rows_;
  std::vector<std::vector<std::string>> kept_;  // prune: adapter names per layer
  std::vector<std::uint32_t> depths_;
  std::optional<Evaluation> evaluation_;
};

}  // namespace fathom::trainer
