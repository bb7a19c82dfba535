// Every key of the sweep language, once. The parser, its defaults, the table in docs/sweeps.md and the JSON Schema are
// made from these rows, so that none of them can say something else than the others.
// Thread: constant data.
#pragma once

#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace fathom::sweeps {

enum class Type {
  integer,   // 3; 3.0 is the same value
  number,    // 1e-4, 0.06, 16
  boolean,   // true, false
  word,      // one of Key::words
  text,      // any scalar, as written
  name,      // letters, digits, '-' and '_' (sweep names also '.'), at most 64
  path,      // relative, without ".."
  duration,  // 90s, 30m, 6h, 1d, 1h30m
  integers,  // 3, a..b, or a list of these
  words,     // a list of Key::words
  texts,     // a text or a list of texts
  section,   // a map with keys of its own: another section of this schema
  special,   // has its own grammar, described in `doc`
};

enum class Section {
  root,
  model,
  objective,
  task,
  data,
  adapter,
  train,
  parameter,
  search,
  stage,
  drop,
  stop,
  needs,
  subjects,
  subject_adapter,
  subject_fusion,
  subject_parallel,
  shape,
  resources,
  limits,
  retry,
  checkpoint,
  keep,
  notify,
  cache,
};
inline constexpr std::size_t kSectionCount = 25;

// Where a stage's key may stand: a sum of kinds.
inline constexpr unsigned kAdapter = 1, kFusion = 2, kPrune = 4, kEvaluate = 8, kFinetune = 16, kBenchmark = 32;
inline constexpr unsigned kTrained = kAdapter | kFusion | kFinetune;
inline constexpr unsigned kAnyKind = 63;

struct Key {
  const char* name = "";
  Type type = Type::special;
  // JSON text of the default; "" = absent unless given.
  const char* fallback = "";
  bool required = false;
  // Changes the job id (rule 20).
  bool identity = false;
  // word, words: "a|b|!c:why"; '!' marks one that this version knows and does not run, and may say why.
  const char* words = "";
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  bool open = false;            // low itself is not allowed
  bool whole_from_one = false;  // below 1 a share, from 1 on a count
  unsigned kinds = kAnyKind;    // section stage: where it may stand
  unsigned optional = 0;        // `required`: of these kinds it is not
  bool one_value = false;       // low = high, or the fallback of a boolean: this version has no others
  bool available = true;        // false: a known key that this version refuses
  const char* setting = "";     // its name in a job's settings, where that differs
  const char* doc = "";
};

struct SectionInfo {
  const char* title;  // as a path, "stages.NAME.drop"
  const char* where;  // which levels may hold it
};

std::span<const Key> keys_of(Section section);
SectionInfo info_of(Section section);
const Key* find_key(Section section, std::string_view name);

// Our name of what Hugging Face's Trainer and common scripts call otherwise, "lr" for "learning_rate"; "": nothing.
std::string alias_of(std::string_view written);

// The nearest of `known` to what was written, or "" when nothing is near (edit distance with swaps above a third of
// the length). Upper case counts as lower case, and aliases as what they stand for.
std::string nearest(std::string_view written, const std::vector<std::string>& known);
// " (did you mean 'x'?)" or "".
std::string hint(std::string_view written, const std::vector<std::string>& known);

std::vector<std::string> split_words(std::string_view words);  // without the '!' marks and reasons

// The key tables of docs/sweeps.md, between its markers.
std::string key_tables();
// A JSON Schema (2020-12) for editors: what of the parser's rules one map of the file can show. Not which names a file
// has, and nothing that takes arithmetic.
nlohmann::json json_schema();

}  // namespace fathom::sweeps
