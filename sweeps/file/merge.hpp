// One tree of a sweep file, the files it includes and the --set overrides. Thread: free functions without state.
#pragma once

#include <optional>
#include <string>

#include "sweeps/file/node.hpp"
#include "sweeps/sweep.hpp"

namespace fathom::sweeps {

// Lays `over` on `base`: maps merge key by key, everything else is replaced (rule 15).
void merge(Node& base, const Node& over);

// Reads the text, replaces `include` by the files it names (each resolved against the file it stands in; the including
// file wins; later files of a list win over earlier ones), then applies options.set. Nothing: see the report.
std::optional<Node> load(const std::string& yaml, const ParseOptions& options, Report& report);

// The file with what it includes and with options.set, as one text that makes the same jobs without either: `text`
// itself where it has neither.
MergeResult whole_file(const std::string& text, const ParseOptions& options);

}  // namespace fathom::sweeps
