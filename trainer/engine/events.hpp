// What a job tells while it runs. The engine knows nothing of sockets: a service turns these calls into frames, `train`
// into lines of text or JSON, tests into vectors.
// Thread: called on the compute thread only. Implementations must not throw.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace fathom::trainer {

struct MetricPoint {
  std::string name;        // "train/loss", "eval/accuracy"
  std::uint64_t step = 0;  // optimizer steps so far
  double value = 0;
  int depth = -1;  // drop depth of an evaluation; -1 where it has no meaning
};

// One optimizer step.
struct StepRecord {
  std::uint64_t step = 0;   // 1 = the first
  std::uint32_t epoch = 0;  // the step is part of; 1 = the first
  double loss = 0;          // task loss before the step, mean over its rows
  double grad_norm = 0;     // before clipping
  double lr = 0;
  std::optional<std::uint32_t> drawn_depth;  // robust training: the n of this step
  std::optional<double> reg_loss;            // where a fusion is regularised
};

class JobEvents {
 public:
  virtual ~JobEvents() = default;

  virtual void started(const std::string& base_sha256, const std::string& data_sha256, std::uint32_t resumed_epoch) = 0;
  // The objective after an epoch (1 = the first).
  virtual void report(std::uint32_t epoch, std::uint64_t step, double objective) = 0;
  // A resumable checkpoint is durable at `path`, relative to the job's folder.
  virtual void checkpoint(std::uint32_t epoch, std::uint64_t step, const std::string& path, double objective,
                          bool best) = 0;
  virtual void metric(const MetricPoint& point) = 0;
  // Every step, the one that diverges included. Metric points of long runs are thinned out, these are not.
  virtual void step(const StepRecord&) {}
  virtual void log(const std::string& line) = 0;

  // Exactly one of these ends a job.
  virtual void finished(const std::string& result) = 0;
  virtual void stopped(std::uint32_t epoch, std::uint64_t step, const std::string& result) = 0;
  virtual void failed(const std::string& error_class, const std::string& message, std::uint64_t step) = 0;
};

}  // namespace fathom::trainer
