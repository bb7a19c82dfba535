#include "sweeps/plan.hpp"

namespace fathom::sweeps {

const char* name_of(Kind kind) {
  switch (kind) {
    case Kind::adapter:
      return "adapter";
    case Kind::fusion:
      return "fusion";
    case Kind::prune:
      return "prune";
    case Kind::evaluate:
      return "evaluate";
    case Kind::finetune:
      return "finetune";
    case Kind::benchmark:
      return "benchmark";
  }
  return "unknown";
}

const char* name_of(Precision precision) {
  constexpr const char* kNames[] = {"fp32", "bf16", "tf32"};
  return kNames[static_cast<std::size_t>(precision)];
}

const char* name_of(Stat stat) {
  constexpr const char* kNames[] = {"mean", "median", "min", "max"};
  return kNames[static_cast<std::size_t>(stat)];
}

}  // namespace fathom::sweeps
