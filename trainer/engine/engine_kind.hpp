// Which engine computes passes: see engine.hpp. Without Torch, for those who only choose.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "common/result.hpp"

namespace fathom::trainer {

// packed is the default everywhere; what it does not cover it leaves to the reference.
enum class EngineKind { packed, reference };

// Where the packed engine keeps what the frozen base makes of rows that are read again and again, and how many bytes of
// it; shared by all trainers that name the folder. No folder or no bytes: it keeps nothing.
struct PrefixOptions {
  std::filesystem::path folder;
  std::uint64_t limit = 0;
};

// "packed" or "reference"; invalid_argument for another word.
Result<EngineKind> parse_engine(const std::string& name);

}  // namespace fathom::trainer
