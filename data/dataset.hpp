// The examples of one task, as a job's settings name them (docs/protocol.md, "task"). Used by the trainer and, for
// checks before a job starts, by the worker. Thread: free functions without state.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "common/result.hpp"

namespace fathom::data {

struct Example {
  std::string text;                 // valid UTF-8
  std::optional<std::string> pair;  // the second text of pair tasks
  std::int32_t label = -1;          // index into Dataset::labels; -1 where the task is a regression
  double value = 0;                 // regression only: the number in the label column
};

struct Dataset {
  std::vector<Example> examples;    // in file order (an in-line split: in shuffled order)
  std::vector<std::string> labels;  // names by label id; empty for a regression
  bool regression = false;          // metric spearman, pearson or mse, or labels.json says "regression"
  std::uint64_t replaced = 0;       // U+FFFD written for invalid bytes
  std::uint64_t skipped = 0;        // malformed rows that a preset says to leave out (QQP)
};

// test: a file beside the one that scores; its rows may have no label (label -1, value NaN).
enum class Split { train, eval, test };
// Of "train", "test", and "dev" for the one that scores.
Split split_named(std::string_view name);

// Reads one split below `root`. `task` keys: train, eval (paths relative to root), text (one or two column names, or
// column numbers from 1 in files without header), label, labels (names or null), metric; optional: format (csv | tsv |
// jsonl; default by file ending), header (bool), split and split_seed (eval absent: rows of `train` are divided).
// Label names: task.labels, else labels.json beside the train file, else the names in the train file in code-point
// order. `preset` (glue/…): the files may also have the columns of the copies that the `datasets` package exports, and
// label values may be any of the set's words or ids for a class; ids follow the names. Errors name file, line and what
// was expected; a path that leaves root is permission_denied.
Result<Dataset> load_task(const std::filesystem::path& root, const nlohmann::json& task, Split split);

// The names only, by the same rule; empty for a regression.
Result<std::vector<std::string>> task_labels(const std::filesystem::path& root, const nlohmann::json& task);

// Another file whose rows score under a split's name of their own, beside the eval file.
struct MoreEval {
  std::string split;  // "eval_mismatched"
  std::string path;   // relative to root
};
// MNLI's preset: the file beside the eval file whose name has "_mismatched" for "_matched", where there is one.
std::vector<MoreEval> more_evals(const std::filesystem::path& root, const nlohmann::json& task);

// The file of a split, relative to root. not_found names the file that should be there and is not. test: "test" in the
// name of the eval file for "dev", "validation" or "eval" (dev_matched.tsv: test_matched.tsv), else test.ENDING.
Result<std::string> split_file(const std::filesystem::path& root, const nlohmann::json& task, Split split);

// root / relative, refused (permission_denied) when `relative` is absolute, empty or climbs out with "..", or leads to
// where links may not lead (links.hpp).
Result<std::filesystem::path> below_root(const std::filesystem::path& root, const std::string& relative);

}  // namespace fathom::data
