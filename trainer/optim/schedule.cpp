#include "trainer/optim/schedule.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <stdexcept>

namespace fathom::trainer {

double Schedule::at(std::uint64_t step) const {
  if (step < warmup) return lr * static_cast<double>(step) / static_cast<double>(std::max<std::uint64_t>(1, warmup));
  if (kind == ScheduleKind::constant) return lr;
  // Beyond the end only in a job whose step count was rounded; never negative.
  if (step >= total) return 0.0;
  const auto span = static_cast<double>(std::max<std::uint64_t>(1, total - warmup));
  if (kind == ScheduleKind::linear) return lr * (static_cast<double>(total - step) / span);
  const double progress = static_cast<double>(step - warmup) / span;
  return lr * std::max(0.0, 0.5 * (1.0 + std::cos(std::numbers::pi * progress)));
}

std::uint64_t warmup_steps(double warmup, std::uint64_t total) {
  if (warmup >= 1.0) return static_cast<std::uint64_t>(warmup);
  // 0.06 * 50 is 3.0000000000000004 in floating point; without the slack the ceiling would be one step too many.
  return static_cast<std::uint64_t>(std::ceil(static_cast<double>(total) * warmup - 1e-9));
}

ScheduleKind schedule_kind(const std::string& name) {
  if (name == "linear") return ScheduleKind::linear;
  if (name == "cosine") return ScheduleKind::cosine;
  if (name == "constant") return ScheduleKind::constant;
  throw std::invalid_argument("train.schedule is '" + name + "'; it can be linear, cosine or constant");
}

}  // namespace fathom::trainer
