// From the text of a sweep file to its plan, in two steps: parse() checks everything the file says (all mistakes in one
// pass, each with its line) and resolves ranges and samples; expand() makes the jobs. The coordinator stores the
// resolved sweep and expands it again on replay, so expand() must give the same plan for the same input for ever: a
// change of its result needs a new kExpanderVersion with the old code kept.
// Thread: free functions without state.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/result.hpp"
#include "sweeps/plan.hpp"

namespace fathom::sweeps {

inline constexpr std::uint32_t kExpanderVersion = 1;

// One mistake in a file. line and column count from 1; text is the offending source line.
struct Diagnostic {
  std::string file;
  int line = 0;
  int column = 0;
  int length = 1;
  std::string message;  // what is wrong, what was expected, nearest valid key or value
  std::string text;
};
// file:line:column: error: message, then the line and carets under the offending part.
std::string render(const Diagnostic& diagnostic);
// "and 50 more mistakes"
std::string more_mistakes(std::size_t count);

// A checked sweep: canonical JSON with every default filled in and every sampled value spelled out.
struct Sweep {
  nlohmann::json resolved;
};

struct ParseOptions {
  std::string file = "sweep.yaml";  // named in diagnostics
  std::vector<std::string> set;     // KEY=VALUE overrides of --set, applied before checking
  // Reads a file named by `include:`, relative to the file it stands in. Absent: include is an error (the coordinator
  // never opens paths that a user names; the CLI merges before it submits).
  std::function<Result<std::string>(const std::string& path)> read_include;
  // Layers of a model, {"path"} or {"config", "init"}, where it can be seen; 0: not known. Depths beyond it are errors
  // at their places. Absent: expand() is told when the model is bound.
  std::function<std::uint32_t(const nlohmann::json& model)> layers;
  // The check makes every job anyhow: keep them, with their ids, for who would call expand() next.
  bool with_plan = false;
};

struct ParseResult {
  std::vector<Diagnostic> errors;  // empty = sweep is valid
  std::size_t more = 0;            // mistakes beyond the first hundred, which are in `errors`
  Sweep sweep;
  std::optional<Plan> plan;  // what expand() makes of it; ParseOptions::with_plan and no errors
};
ParseResult parse(const std::string& yaml, const ParseOptions& options);

// The file with what it includes merged in, as one YAML text for the coordinator: `text` itself, comments and all,
// where it includes nothing. options.set is not applied (it travels beside the text). Errors: only what keeps the files
// from being read and merged.
struct MergeResult {
  std::vector<Diagnostic> errors;  // empty = yaml is complete
  std::string yaml;
};
MergeResult merge_includes(const std::string& text, const ParseOptions& options);

// Limits: 100,000 jobs. layers = L of the base model where known (0: not yet known, checked again when it is bound).
Result<Plan> expand(const Sweep& sweep, std::uint32_t layers = 0);

}  // namespace fathom::sweeps
