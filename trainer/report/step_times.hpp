// How long the steps of a measurement took, and what is reported of them. Pure; thread: plain values.
#pragma once

#include <vector>

namespace fathom::trainer {

// One optimizer step, or one pass of inference (all of it forward). Seconds.
struct StepTimes {
  double forward = 0;
  double backward = 0;   // with the fusion regulariser's gradient
  double optimizer = 0;  // clipping, AdamW, and letting the gradients go
  [[nodiscard]] double whole() const { return forward + backward + optimizer; }
};

// Over all steps. The parts are shares of the whole time, laid on the median, so that they add up to it; medians of the
// parts would not.
struct TimesSummary {
  double seconds = 0;  // median of the steps
  double p10 = 0, p90 = 0;
  double forward = 0, backward = 0, optimizer = 0;
};

// Precondition: at least one step.
TimesSummary summarise(const std::vector<StepTimes>& steps);

// The value below which the share `q` (0 … 1) of the sorted values lies, between two of them in proportion (NumPy's
// default). Precondition: not empty.
double quantile(const std::vector<double>& sorted, double q);

}  // namespace fathom::trainer
