#include "sweeps/schema/stop_keys.hpp"

#include <array>

namespace fathom::sweeps {
namespace {

constexpr std::array kStopKeys = {
    StopKey{"eta", "asha|hyperband|halving"},
    StopKey{"ties", "asha|hyperband"},
    StopKey{"variant", "asha"},
    StopKey{"bootstrap", "asha|hyperband"},
    StopKey{"brackets", "asha|halving"},
    StopKey{"rungs", "asha|hyperband|halving"},
    StopKey{"rounding", "halving"},
    StopKey{"every", "median|percentile|threshold|patience"},
    StopKey{"startup", "median|percentile"},
    StopKey{"among", "median|percentile"},
    StopKey{"window", "median"},
    StopKey{"percentile", "percentile", "percentile"},
    StopKey{"lower", "threshold"},
    StopKey{"upper", "threshold"},
    StopKey{"patience", "patience", "patience"},
    StopKey{"min_delta", "patience"},
    StopKey{"interval", "pbt"},
    StopKey{"quantile", "pbt"},
    StopKey{"resample", "pbt"},
    StopKey{"factors", "pbt"},
    StopKey{"seed", "pbt"},
};

}  // namespace

std::span<const StopKey> stop_keys() { return kStopKeys; }

}  // namespace fathom::sweeps
