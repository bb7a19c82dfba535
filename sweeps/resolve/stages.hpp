// `stages`: each in its checked form, ready for expand(). Thread: free functions without state.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "sweeps/plan.hpp"
#include "sweeps/resolve/parameters.hpp"
#include "sweeps/resolve/tasks.hpp"
#include "sweeps/schema/fields.hpp"

namespace fathom::sweeps {

// What stages take over from the root, and what they may refer to.
struct Surroundings {
  bool sound = true;  // no mistake in what is below
  const std::vector<Task>* tasks = nullptr;
  nlohmann::json train;               // given keys of root `train`
  nlohmann::json adapter;             // given keys of root `adapter`
  std::vector<Parameter> parameters;  // of the root
  Mark parameters_mark;
  const Node* search = nullptr;
  const Node* zip = nullptr;
  const Node* exclude = nullptr;
  nlohmann::json seeds;
};

// A stage that stands before the one being read.
struct EarlierStage {
  std::string name;
  Kind kind;
  Mark mark;
  unsigned readable = 0;  // its kind as a bit of the schema
  bool sound = false;     // it is as the file means it: no mistake in it, in what it takes over and in its inputs
  const Node* node = nullptr;
};

struct Stages {
  nlohmann::json resolved = nlohmann::json::array();
  std::vector<EarlierStage> marks;  // one per resolved stage, in order
};

Stages parse_stages(const Node* node, const Surroundings& around, Report& report);

// What stands in a stage whose kind nobody knows: keys of any kind, and their values where these mean the same in all.
void check_any_kind(const Node& stage, const Surroundings& around, const std::vector<EarlierStage>& earlier,
                    Report& report);

// The lists of stages that a resolved stage takes from, by their places.
std::vector<nlohmann::json*> inputs_of(nlohmann::json& stage);

// Makes the jobs of a resolved sweep once: what is wrong only then gets its place too. Only of stages that are sound,
// and where not all are, only for what is wrong with those. With `identities` (which take longer) the plan is returned
// where nothing is wrong.
std::optional<Plan> check_expansion(const nlohmann::json& resolved, const std::vector<EarlierStage>& stages,
                                    bool identities, Report& report);

// The parts of a stage, in files of their own.
nlohmann::json parse_drops(const Node* node, Report& report);
nlohmann::json parse_stop(const Fields& stage, const nlohmann::json& trains, const std::vector<Parameter>& parameters,
                          std::size_t seeds, Report& report);
// `needs` of a fusion stage, and from/where/best/per of prune and evaluate stages.
nlohmann::json parse_needs(const Fields& stage, const std::vector<EarlierStage>& earlier,
                           const std::vector<Task>& tasks, const nlohmann::json& root_seeds, Report& report);
nlohmann::json parse_source(const Fields& stage, unsigned kinds, const std::vector<EarlierStage>& earlier,
                            const std::vector<Task>& tasks, Report& report);
// The conditions of `exclude`, a null node's are none.
nlohmann::json parse_exclude(const Node* node, const std::vector<Task>& tasks, Report& report);
// {"sets": [[task, …]], "targets": [[task, …] for each set]}, both in order.
nlohmann::json parse_sets(const Fields& stage, const std::vector<Task>& tasks, Report& report);
// The keys of a benchmark stage; "source" is there where its members are trained ones. `adapter`: the root's, with its
// defaults.
nlohmann::json parse_benchmark(const Fields& stage, const nlohmann::json& adapter,
                               const std::vector<EarlierStage>& earlier, const std::vector<Task>& tasks,
                               Report& report);
// Reports what stands twice in a list.
void check_unique(const nlohmann::json& list, const Mark& at, const std::string& what, Report& report);
// Columns of results.csv that are known before a job runs.
std::optional<Column> plan_column(const std::string& name);
std::vector<std::string> plan_columns();

}  // namespace fathom::sweeps
