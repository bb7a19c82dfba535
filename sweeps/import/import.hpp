// Sweep files of other programs as ours. What has no counterpart is said, never guessed. Pure.
// Thread: free functions without state.
#pragma once

#include <string>
#include <vector>

#include "common/result.hpp"

namespace fathom::sweeps {

struct Imported {
  std::string yaml;                  // a sweep file; models and data are named CHANGE-ME
  std::vector<std::string> notes;    // one for each key that has no counterpart, or another meaning
  std::vector<std::string> changes;  // what `validate` says of the file, but for names: none, and it is valid
};

// A W&B sweep configuration (docs.wandb.ai "Sweep configuration options"). Errors: not YAML, or no map.
Result<Imported> import_wandb(const std::string& name, const std::string& text);
// A Determined experiment configuration, 0.38. Errors as above.
Result<Imported> import_determined(const std::string& name, const std::string& text);

}  // namespace fathom::sweeps
