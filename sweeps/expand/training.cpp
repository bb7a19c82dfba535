// adapter and finetune stages: tasks x drops x points x seeds.
#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <unordered_map>

#include "common/canonical_json.hpp"
#include "sweeps/expand/builder.hpp"
#include "sweeps/resolve/conditions.hpp"
#include "sweeps/resolve/parameters.hpp"
#include "sweeps/schema/fields.hpp"

namespace fathom::sweeps {

using nlohmann::json;

void apply_point(json& settings, const json& point, const json& sampled) {
  for (const json& name : sampled) {
    const auto parameter = find_parameter(name.get<std::string>());
    if (!parameter) continue;  // only parse() writes these names
    json& section = settings[info_of(parameter->section).title];
    const char* key = setting_name(*parameter->key);
    const auto value = point.find(parameter->full);
    if (value == point.end()) {
      section.erase(key);
    } else {
      section[key] = *value;
    }
  }
}

std::uint32_t epochs_of(const json& train, const json& point) {
  const auto sampled = point.find("train.epochs");
  return sampled == point.end() ? train.at("epochs") : *sampled;
}

void fill_adapter(json& adapter) {
  const auto config = adapter.at("config").get<std::string>();
  if (!adapter.contains("reduction_factor")) adapter["reduction_factor"] = config == "par_bn" ? 2 : 16;
  if (!adapter.contains("non_linearity")) adapter["non_linearity"] = config == "double_seq_bn" ? "swish" : "relu";
}

void leave_out_idle(json& settings) {
  json& train = settings.at("train");
  const bool robust = settings.contains("drop") && settings.at("drop").at("kind") == "robust";
  const bool regularised = settings.contains("fusion") && settings.at("fusion").at("config") == "dynamic";
  // A job with weights of its own in every layer had no such key when ids were first given.
  if (settings.contains("adapter") && settings.at("adapter").value("share", "none") == "none")
    settings.at("adapter").erase("share");
  if (!robust || train.value("grads", "none") == "none") train.erase("grads");
  if (!regularised || train.value("regularizer", "before") == "before") train.erase("regularizer");
}

namespace {

struct Axes {
  const json& task;
  const json& train;
  const json* drop;  // null for a finetune stage
};

// Sections whose other keys settle() fills in or leaves out by the value of one.
bool decides_others(const Parameter& parameter) {
  static constexpr std::array kDeciding = {"grads", "regularizer"};
  return info_of(parameter.section).title != std::string_view("train") ||
         std::ranges::find(kDeciding, std::string_view(setting_name(*parameter.key))) != kDeciding.end();
}

// Settings of the jobs of one task and drop: everything but the seed. Where points differ in values of the training
// alone, which is what most large sweeps search, they share that section, too, but for these values.
class Settings {
 public:
  Settings(Builder& builder, const Axes& axes) : builder_(builder), axes_(axes) {
    for (const json& name : builder.stage().at("parameters")) {
      const auto parameter = find_parameter(name.get<std::string>());
      if (!parameter) continue;  // as apply_point()
      plain_ = plain_ && !decides_others(*parameter);
      keys_.emplace_back(parameter->full, setting_name(*parameter->key));
    }
    std::ranges::sort(keys_, {}, [](const auto& key) { return key.second; });
  }

  // No point: one that is drawn later.
  [[nodiscard]] JobSettings at(const json* point) {
    if (point == nullptr || !plain_) return JobSettings(whole(point));
    std::vector<std::string> there, values;  // keys of the section that the point has, and their values
    for (const auto& [full, key] : keys_) {
      const auto value = point->find(full);
      if (value == point->end()) continue;
      there.push_back(key);
      values.push_back(canonical_json(*value));
    }
    auto& like = like_[there];
    if (!like) like = whole(point, &there);
    return {like, values};
  }

 private:
  // `gaps`: keys of the training that have a value of their own in each job.
  [[nodiscard]] std::shared_ptr<const JobSettings::Members> whole(const json* point,
                                                                  const std::vector<std::string>* gaps = nullptr) {
    json settings = builder_.common();
    settings["task"] = axes_.task;
    settings["train"] = axes_.train;
    if (axes_.drop) {
      settings["drop"] = *axes_.drop;
      settings["adapter"] = builder_.stage().at("adapter");
    }
    take_point(settings, point, builder_.stage());
    auto members = builder_.pool().share(settings);
    return gaps == nullptr || gaps->empty() ? members : with_gaps(*members, "train", settings.at("train"), *gaps);
  }

  Builder& builder_;
  const Axes axes_;
  std::vector<std::pair<std::string, std::string>> keys_;  // sampled: by the full name, and in the section; by that
  bool plain_ = true;                                      // points differ in values of the training alone
  std::map<std::vector<std::string>, std::shared_ptr<const JobSettings::Members>> like_;  // by the keys a point has
};

// The comparison group of each job: equal texts are one in memory, and one that all jobs of a task and drop have is
// made once.
class Grouping {
 public:
  explicit Grouping(const json& stage)
      : stage_(stage),
        columns_(stage.at("stop").is_null() ? json::array({"task", "drop"}) : stage.at("stop").at("per")) {
    for (const json& column : columns_) {
      by_seed = by_seed || column == "seed";
      fixed_ = fixed_ && (column == "task" || column == "drop");
    }
  }

  bool by_seed = false;

  [[nodiscard]] SmallText of(const Job& job) {
    if (fixed_ && !known_.empty()) return known_.begin()->second;
    std::string text = group_of(job, stage_.at("name"), columns_);
    auto& known = known_[text];
    if (known.empty()) known = std::move(text);
    return known;
  }

 private:
  const json& stage_;
  const json columns_;
  bool fixed_ = true;  // no column is other in another job of the task and drop
  std::unordered_map<std::string, SmallText> known_;
};

// The jobs of one task and drop.
class Cell {
 public:
  Cell(Builder& builder, const Axes& axes, bool finetune) : builder_(builder), axes_(axes), groups_(builder.stage()) {
    if (builder.identities) settings_.emplace(builder, axes);
    like_.kind = finetune ? Kind::finetune : Kind::adapter;
    like_.task = axes.task.at("name").get<std::string>();
    if (axes.drop) like_.drop = drop_label(*axes.drop);
    if (is_drawn(builder.stage())) like_.search = builder.begin_search();
  }

  // One setting: a job for each seed. `point` is that of the setting, or empty where it is drawn later. False: the
  // limit of jobs is reached.
  bool add(const json& point, std::uint32_t trial, std::uint32_t setting) {
    const bool open = like_.search != kNoSearch;
    if (open) like_.trial = trial;
    like_.parameters = JobParameters(point, like_.parameters);
    if (builder_.is_excluded(like_)) return true;
    if (open && trial == 0 && !builder_.can_draw(like_)) return true;
    like_.epochs = epochs_of(axes_.train, point);
    if (settings_) like_.settings = settings_->at(open ? nullptr : &point);
    if (!groups_.by_seed) like_.group = groups_.of(like_);
    for (const json& seed : builder_.stage().at("seeds")) {
      Job one = like_;
      one.seed = seed;
      if (groups_.by_seed) one.group = groups_.of(one);
      if (settings_) one.settings.add("seed", seed);
      if (settings_ && open) one.settings.add("trial", trial);
      if (!builder_.add(std::move(one), setting)) return false;
    }
    return true;
  }

 private:
  Builder& builder_;
  const Axes axes_;
  Grouping groups_;
  std::optional<Settings> settings_;  // nothing: without identities
  Job like_;
};

}  // namespace

void expand_training(Builder& builder) {
  static const json kNoPoint = json::object();
  const json& stage = builder.stage();
  const json& tasks = builder.sweep.at("tasks");
  const bool finetune = stage.at("kind") == "finetune";
  const json none = json::array({nullptr});
  const json& drops = finetune ? none : stage.at("drops");
  const bool drawn = is_drawn(stage);
  const std::size_t count = settings_in(stage);
  builder.expect(tasks.size() * drops.size() * count * stage.at("seeds").size());
  std::uint32_t setting = 0;
  for (std::size_t t = 0; t < tasks.size(); ++t) {
    for (const json& drop : drops) {
      if (!finetune) builder.check_drop(drop);
      Cell cell(builder, {tasks[t], stage.at("train")[t], finetune ? nullptr : &drop}, finetune);
      for (std::size_t i = 0; i < count; ++i) {
        const json& point = drawn ? kNoPoint : stage.at("points")[i];
        if (!cell.add(point, static_cast<std::uint32_t>(i), setting++)) return;
      }
    }
  }
}

}  // namespace fathom::sweeps
