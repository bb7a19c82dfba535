// A sweep file in the making. Thread: owned by one import.
#pragma once

#include <map>
#include <optional>
#include <string>
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
  // Our full name of a hyperparameter that is called so elsewhere ("learning_rate"), or nothing after a note.
  std::optional<std::string> parameter(const std::string& theirs);
  // A metric by its usual names ("val_accuracy", "eval/f1"); the goal as given.
  void objective(const std::string& theirs, bool minimize);

  [[nodiscard]] Imported take() const;

 private:
  std::vector<std::string> notes_;
};

// The document as a tree; an Error where it is no map.
Result<Node> document(const std::string& name, const std::string& text);
// The text of a scalar below a map, "" where there is none.
std::string text_of(const Node& map, const char* key);
// "[a, b]" of a list of scalars.
std::string list_text(const Node& list);
// A number as short as it can be read back.
std::string number_text(double value);

}  // namespace fathom::sweeps
