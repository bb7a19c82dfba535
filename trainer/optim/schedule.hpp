// Learning rate over the optimizer steps of a job, as Hugging Face's get_{linear,cosine,constant}_schedule_with_warmup.
// Pure values; the rate of a step depends on nothing but the step, so a resume needs no state.
#pragma once

#include <cstdint>
#include <string>

namespace fathom::trainer {

enum class ScheduleKind { linear, cosine, constant };

struct Schedule {
  ScheduleKind kind = ScheduleKind::linear;
  double lr = 0;             // the peak
  std::uint64_t warmup = 0;  // steps
  std::uint64_t total = 0;   // optimizer steps of the whole job

  // Rate of 0-based step s: lr * s/warmup while s < warmup; then linear: down to 0 at `total`; cosine: half a cosine
  // down to 0 at `total`; constant: lr.
  [[nodiscard]] double at(std::uint64_t step) const;
};

// `warmup` of the settings: below 1 a share of all steps (rounded up, as Hugging Face does), from 1 on a number of
// steps.
std::uint64_t warmup_steps(double warmup, std::uint64_t total);

// Parses "linear" | "cosine" | "constant"; throws std::invalid_argument naming the three otherwise.
ScheduleKind schedule_kind(const std::string& name);

}  // namespace fathom::trainer
