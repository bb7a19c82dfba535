// Which keys of `stop` belong to which methods, for the parser and the JSON Schema. Thread: constant data.
#pragma once

#include <span>

namespace fathom::sweeps {

// Keys of `stop` that are not listed belong to every method.
struct StopKey {
  const char* key;
  const char* methods;      // "asha|median"
  const char* needed = "";  // which of them cannot do without it
};

std::span<const StopKey> stop_keys();

}  // namespace fathom::sweeps
