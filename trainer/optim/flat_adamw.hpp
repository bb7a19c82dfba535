// AdamW for the parameters of one or of several jobs over one flat buffer: all moments in two of them, and a table that
// says of every parameter which segment is its own. Parameters and gradients stay tensors of their own. On the CPU one
// pass over the table moves everything, in a loop of our own; elsewhere, and for what is not float32, LibTorch's fused
// call does. What a job's update is does not depend on the jobs beside it, in any bit.
// Thread: one owner, used on the compute thread.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "trainer/optim/parameter.hpp"

namespace fathom::trainer {

struct AdamWOptions {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0.0;  // only where Parameter::decay
};

// One parameter's place.
struct Segment {
  Parameter parameter;
  std::size_t job = 0;
  std::int64_t offset = 0, length = 0;  // elements of the flat buffers
};

// What moves a job in one step.
struct JobStep {
  std::size_t job = 0;
  double lr = 0;
  double clip = 1;  // factor of all its gradients
};

class FlatAdamW {
 public:
  // Another job's parameters, with zero moments and counts; its number, counted from 0. All jobs are on one device.
  // The buffers move: handles to moments from before are stale.
  std::size_t add(const std::vector<Parameter>& parameters, const AdamWOptions& options);

  // One update of the jobs named, each at most once. Gradients are read, not cleared; a parameter without one is
  // skipped entirely: no moment decay, no step count, no weight decay.
  void step(std::span<const JobStep> jobs);

  [[nodiscard]] const std::vector<Segment>& segments() const { return segments_; }
  // The live state of a segment: its moments in the shape of its parameter, and its updates so far, a float32 scalar.
  [[nodiscard]] at::Tensor mean(std::size_t segment) const { return part(mean_, segment); }
  [[nodiscard]] at::Tensor square(std::size_t segment) const { return part(square_, segment); }
  [[nodiscard]] at::Tensor updates(std::size_t segment) const;

 private:
  struct Job {
    AdamWOptions options;
    std::size_t first = 0, last = 0;  // segments
  };
  [[nodiscard]] at::Tensor part(const at::Tensor& flat, std::size_t segment) const;
  // Segments whose gradient is there, of one decay, by LibTorch.
  void step_fused(const Job& job, const JobStep& step, const std::vector<std::size_t>& segments, bool decay);

  std::vector<Segment> segments_;
  std::vector<Job> jobs_;
  at::Tensor mean_, square_;  // [elements]
  at::Tensor updates_;        // [segments]
};

}  // namespace fathom::trainer
