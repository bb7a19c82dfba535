// Classifies texts with a finished model: `fathom-trainer predict`.
#pragma once

#include <filesystem>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

namespace fathom::trainer {

struct PredictOptions {
  std::filesystem::path model;    // folder of the base model
  std::filesystem::path adapter;  // an adapter folder with its head, or a fusion's tree, as final/ has them
  std::vector<std::string> texts;
  std::filesystem::path file;     // more texts, one a line; pairs as TEXT<TAB>TEXT; may be empty
  std::optional<unsigned> depth;  // layers without adapters; absent: the smallest the model was trained for
  bool json = false;
};

// Prints one line a text: label and probabilities (a regression: the value); with json one object {text, pair, label,
// logits, probabilities}. Returns 0, or 1 with a sentence on stderr.
int predict(const PredictOptions& options, std::ostream& out);

}  // namespace fathom::trainer
