// Measures a network on the eval rows of a task at several drop depths: one call, one batch, all depths in one pass
// that shares the layers without adapters. Rows of like length go together. Nothing of the network is changed.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "trainer/engine/engine.hpp"
#include "trainer/engine/network.hpp"
#include "trainer/parallel/gang.hpp"
#include "trainer/report/metrics.hpp"
#include "trainer/report/result.hpp"

namespace fathom::trainer {

class Evaluation {
 public:
  // `network`, `gang` and `engine` must outlive the evaluation. depths: rising, none repeated. The ranks of a gang take
  // turns with the batches; at the end all of them know everything, bit for bit what one rank would have found.
  // `recipe`: of the job; in the fast one the engine may keep what the frozen base makes of the rows.
  Evaluation(const Network& network, std::shared_ptr<const OpenTask> task, std::vector<std::uint32_t> depths,
             Gang& gang = alone(), Engine& engine = reference_engine(), Recipe recipe = Recipe::hf);

  // One batch of each rank. False: there is none left, scores() may be called.
  bool advance();

  // All metrics of the task and the mean loss ("loss") at every depth, split by split; `primary` is marked in the eval
  // split. `epoch` goes into the rows.
  [[nodiscard]] std::vector<ResultRow> rows(std::uint32_t epoch, const std::string& primary) const;

 private:
  // One file of rows that score.
  struct Part {
    std::string split;
    std::shared_ptr<const OpenTask> task;
    std::vector<std::vector<std::uint32_t>> batches;
    // float64 [depths, rows], by batch and place in it: the class or the value that was predicted. Zero until then.
    at::Tensor predicted;
    at::Tensor losses;  // float64 [depths, batches]: sums over rows
    std::shared_ptr<KeptRows> kept;
  };
  [[nodiscard]] Part part(const std::string& split, std::shared_ptr<const OpenTask> task) const;
  void measure(Part& part, std::size_t batch);
  [[nodiscard]] std::vector<Metric> metrics(const Part& part, std::size_t depth) const;

  const Network& network_;
  Gang& gang_;
  Engine& engine_;
  const Recipe recipe_;
  std::vector<std::uint32_t> depths_;
  std::vector<Part> parts_;
  std::size_t at_part_ = 0;
  std::size_t next_ = 0;  // batch of that part, rank 0's
};

// The number that judges a job: mean of the primary rows over `depths`; where none of them was measured, over all.
double objective_of(const std::vector<ResultRow>& rows, const std::vector<std::uint32_t>& depths);

// The metric that judges the job's task. JobError config when the task does not have the one asked for.
std::string judged_metric(const JobSpec& spec, const OpenTask& task);

// Depths at which a job of this drop is judged: its own n; robust: lo..hi. `fixed` (objective.depth) overrides, raised
// to n for a specialised model, which has nothing below it. A whole model has nothing to drop: always 0.
std::vector<std::uint32_t> judged_depths(const Network& network, const Drop& drop,
                                         const std::optional<std::uint32_t>& fixed);

}  // namespace fathom::trainer
