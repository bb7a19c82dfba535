// The plan while it grows: jobs with their ids, and for each stage its models in order with the setting they belong to.
// Thread: as Expander.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "sweeps/expand/excludes.hpp"
#include "sweeps/expand/expander.hpp"

namespace fathom::sweeps {

// A model that a stage offers: jobs of one stage with equal `setting` differ in the seed only. The job may stand in an
// earlier stage: equal settings are one job wherever they are written.
struct Model {
  JobIndex job = 0;
  std::uint32_t setting = 0;
};

class Builder {
 public:
  Builder(const nlohmann::json& sweep, std::uint32_t layers, bool identities);

  const nlohmann::json& sweep;
  const std::uint32_t layers;
  const bool identities;

  void begin_stage(std::size_t stage);
  void end_stage();
  // So many jobs are to come: room is made at once. An estimate.
  void expect(std::size_t jobs);
  // Adds a job to the current stage; false when the limit is reached (reported once).
  bool add(Job job, std::uint32_t setting);
  void problem(std::string message, std::string key = "");
  // Jobs are missing from a stage for a reason that has been told; what the current one lacks for it is not told again.
  [[nodiscard]] bool broken(std::size_t stage) const { return broken_.contains(stage); }
  void pass_on() { broken_.insert(stage_); }
  void note(std::string message) { out_.plan.notes.push_back(std::move(message)); }
  void check_depth(std::uint64_t n, const std::string& what);
  // The deepest n of a drop in settings form, where it is a number.
  void check_drop(const nlohmann::json& drop);

  [[nodiscard]] const Job& job(JobIndex index) const { return out_.plan.jobs[index]; }
  [[nodiscard]] const std::vector<Model>& models(std::size_t stage) const { return models_[stage]; }
  [[nodiscard]] const nlohmann::json& stage() const { return sweep.at("stages")[stage_]; }
  [[nodiscard]] std::size_t stage_index() const { return stage_; }
  [[nodiscard]] const std::string& stage_name(std::size_t stage) const { return out_.plan.stages[stage].name; }
  [[nodiscard]] const nlohmann::json& task(const std::string& name) const;
  // The keys that every job has: kind, model, recipe, precision, objective; keep_best where it trains and keeps
  // several.
  [[nodiscard]] nlohmann::json common() const;
  // Value of a column for `where`, `per` and `exclude`.
  [[nodiscard]] std::optional<nlohmann::json> column(JobIndex index, const std::string& name) const;
  // Why nothing of a stage can meet `where`: a column of it is drawn while the sweep runs. Empty: that is not why.
  [[nodiscard]] std::string drawn_later(const nlohmann::json& where, std::size_t from) const;
  // A need in the form that is hashed: a job id, or what is chosen among.
  [[nodiscard]] nlohmann::json asked(const Need& need) const;

  // Whether `exclude` of the current stage removes the job.
  [[nodiscard]] bool is_excluded(const Job& job);
  [[nodiscard]] const Excludes& excludes() const { return excludes_; }

  // The search of a group whose points are drawn while the sweep runs: its number in the plan. For a stage of which
  // is_drawn() holds.
  std::uint32_t begin_search();
  // False after reporting: `exclude` leaves nothing to the group of this open job.
  bool can_draw(const Job& open);

  // Everything but the seed and the inputs of a job, held once by all that share it.
  [[nodiscard]] JobSettings share(const nlohmann::json& settings) { return JobSettings(pool_.share(settings)); }
  [[nodiscard]] SettingsPool& pool() { return pool_; }

  // Fusions that were tried for sets that are chosen by results, by what each of them tried (fusion.cpp).
  std::map<std::string, Contender> tries;

  Expansion take() { return std::move(out_); }
  Plan& plan() { return out_.plan; }

 private:
  Expansion out_;
  std::set<std::size_t> broken_;
  Excludes excludes_;
  std::vector<std::vector<Model>> models_;  // by stage
  boost::unordered_flat_map<JobId, JobIndex, std::hash<JobId>> by_id_;
  std::string hashed_;  // canonical settings of the job that is added
  SettingsPool pool_;
  std::size_t stage_ = kNoStage;
  std::size_t reused_ = 0;  // jobs of this stage that an earlier one has
};

// One for each group of kinds.
void expand_training(Builder& builder);  // adapter, finetune
void expand_fusion(Builder& builder);
void expand_sourced(Builder& builder);  // prune, evaluate
void expand_benchmark(Builder& builder);

// Warnings for a person: where a stopping method has nobody to compare with or no epoch to stop at; of the whole sweep
// what is allowed and hardly meant.
void note_stopping(Builder& builder, const Stage& stage);
void note_traps(Builder& builder);

// Sets keys of settings from a point {"train.lr": 0.001} and takes out those that are sampled and absent.
void apply_point(nlohmann::json& settings, const nlohmann::json& point, const nlohmann::json& sampled);
// Full budget of a job at a point of `train`.
std::uint32_t epochs_of(const nlohmann::json& train, const nlohmann::json& point);
// Fills what an adapter preset implies.
void fill_adapter(nlohmann::json& adapter);
// Takes out conventions that are the default or that change nothing in a job of this kind and drop, so that a result is
// never trained twice, and jobs keep the ids they had before these keys existed.
void leave_out_idle(nlohmann::json& settings);
// Points of the stage are drawn while it runs (`sampler: tpe`), so many for each group.
bool is_drawn(const nlohmann::json& stage);
std::size_t settings_in(const nlohmann::json& stage);
// Everything that a point says of these settings. `sampled`: full names of the sampled parameters.
void settle(nlohmann::json& settings, const nlohmann::json& point, const nlohmann::json& sampled);
// The same for a job of the stage. No point, since it is drawn later: the space instead of the sampled keys
// (trial.hpp).
void take_point(nlohmann::json& settings, const nlohmann::json* point, const nlohmann::json& stage);
std::string group_of(const Job& job, const std::string& stage, const nlohmann::json& per);
bool is_excluded(const Job& job, const nlohmann::json& excludes);

}  // namespace fathom::sweeps
