// `tasks`: what each task reads and how it is scored. Thread: free functions without state.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "sweeps/file/node.hpp"

namespace fathom::sweeps {

struct Task {
  std::string name;
  nlohmann::json settings;  // docs/protocol.md, "task"
  nlohmann::json train;     // keys of its own `train`, given ones only
  Mark mark;
};

// In the order of the file. Warnings for a person (adapter names of which one begins with the other) go to `notes`.
std::vector<Task> parse_tasks(const Node* node, Report& report, std::vector<std::string>& notes);

// The task of that name, or reports it with the nearest one and returns nullptr.
const Task* find_task(const std::vector<Task>& tasks, const std::string& name, const std::string& what, const Mark& at,
                      Report& report);

}  // namespace fathom::sweeps
