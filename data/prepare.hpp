// Runs a recipe: reads the source, keeps the rows it asks for, shuffles and splits them, and writes train.tsv, dev.tsv
// (header `text`, [`pair`,] `label`; label names, not ids) and labels.json. Tabs and line breaks inside a text become
// one blank each, so that a row stays a line. Thread: free functions without state.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "common/result.hpp"
#include "data/recipe.hpp"

namespace fathom::data {

// What was done, for a person.
struct Prepared {
  std::filesystem::path folder;
  std::uint64_t read = 0;                   // rows of the source
  std::uint64_t filtered = 0;               // left out by `where`
  std::uint64_t empty = 0;                  // left out: no text
  std::uint64_t duplicates = 0;             // left out by `deduplicate`
  std::uint64_t conflicts = 0;              // of these: the same text with another label
  std::uint64_t replaced = 0;               // U+FFFD written for invalid bytes in the source
  std::vector<std::string> labels;          // by id; empty for a regression
  std::vector<std::uint64_t> train_counts;  // rows by label id
  std::vector<std::uint64_t> dev_counts;
  std::uint64_t train = 0;  // rows written
  std::uint64_t dev = 0;
};

// Each file is whole or absent, and labels.json is written last; nothing is written when the source has a mistake.
// Errors name file and line: missing column (with those there are), unknown label (with those that are listed), empty
// file, a source that is not there.
Result<Prepared> prepare(const Recipe& recipe, const std::filesystem::path& root, const std::filesystem::path& out);

}  // namespace fathom::data
