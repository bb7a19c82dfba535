// A sweep file in the making. Thread: owned by one import.
#pragma once

#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sweeps/file/node.hpp"
#include "sweeps/import/import.hpp"

namespace fathom::sweeps {

class Draft {
 public:
  std::string name = "imported";
  std::string metric = "primary", goal = "maximize";
  std::string search;                          // `search`, empty: a grid
  std::string stop;                            // `stop` of the stage, empty: none
  std::map<std::string, std::string> fixed;    // "train.lr" -> value
  std::map<std::string, std::string> sampled;  // "train.lr" -> {…} or […]
  std::vector<std::string> root;               // whole lines
  std::vector<std::string> seeds;

  void note(std::string text) { notes_.push_back(std::move(text)); }
  // A note for each key of a map that is not among these.
  void note_rest(const std::string& where, const Node& map, std::initializer_list<std::string_view> taken);
  // Our full name of a hyperparameter that is called so elsewhere ("learning_rate"), or nothing after a note. Of
  // several names of one key the first counts.
  std::optional<std::string> parameter(const std::string& theirs);
  // One value, or a list of values, of a parameter by its full name; a note for what is no scalar.
  void fix(const std::string& full, const std::string& theirs, const Node& value);
  void sample(const std::string& full, const std::string& theirs, const Node& values);
  // The sweep's name, where it can be one.
  void call(const Node& name);
  // A metric by its usual names ("val_accuracy", "eval/f1"); the goal as given.
  void objective(const std::string& theirs, bool minimize);

  [[nodiscard]] Imported take() const;

 private:
  [[nodiscard]] std::string body() const;  // the file without comments

  std::vector<std::string> notes_;
  std::map<std::string, std::string> theirs_;  // by full name
};

// The document as a tree; an Error where it is no map.
Result<Node> document(const std::string& name, const std::string& text);
// The text of a scalar below a map, "" where there is none.
std::string text_of(const Node& map, const char* key);
// A scalar so that it reads back to the same text.
std::string scalar_text(const Node& scalar);
// A number as short as it can be read back.
std::string number_text(double value);

}  // namespace fathom::sweeps
