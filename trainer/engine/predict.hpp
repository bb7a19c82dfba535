// Classifies texts with finished models: `fathom-trainer predict`. Several adapters on one base answer together: one
// pass, in which the layers below the lowest adapter run once for all of them.
#pragma once

#include <filesystem>
#include <iosfwd>
#include <string>
#include <vector>

#include "trainer/engine/engine_kind.hpp"

namespace fathom::trainer {

struct PredictOptions {
  std::filesystem::path model;  // folder of the base model
  // Adapter folders with their heads, or setups (fusions' trees) as final/ has them; a parallel setup of several heads
  // stands for its children.
  std::vector<std::filesystem::path> adapters;
  std::vector<std::string> texts;
  std::filesystem::path file;    // more texts, one a line; pairs as TEXT<TAB>TEXT; may be empty
  std::vector<unsigned> depths;  // layers without adapters: none (the smallest each was trained for), one, or one each
  bool json = false;
  // Instead of texts: the rows of a split ("dev", "test", "train") of the one adapter's own task, whose files lie below
  // `root`. They go into the file `out` as a table; nothing is printed.
  std::string split;
  std::filesystem::path root;
  std::filesystem::path out;
  EngineKind engine = EngineKind::packed;
};

// Prints one line a text and adapter: label and probabilities (a regression: the value). With json one object a text:
// {text, pair, label, logits, probabilities}, with several adapters {text, pair, results: [{adapter, head, depth,
// label, logits, probabilities}]} in their order. A table of a split has tabs between `row` (from 0), `predicted` (a
// label's name, or the value), `gold` (where a row has one) and p.LABEL for each label. Returns 0, or 1 with a sentence
// on stderr.
int predict(const PredictOptions& options, std::ostream& out);

}  // namespace fathom::trainer
