// Which engine computes passes: see engine.hpp. Without Torch, for those who only choose.
#pragma once

#include <string>

#include "common/result.hpp"

namespace fathom::trainer {

// packed is the default everywhere; what it does not cover it leaves to the reference.
enum class EngineKind { packed, reference };

// "packed" or "reference"; invalid_argument for another word.
Result<EngineKind> parse_engine(const std::string& name);

}  // namespace fathom::trainer
