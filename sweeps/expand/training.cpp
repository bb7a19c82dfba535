// adapter and finetune stages: tasks x drops x points x seeds.
#include <algorithm>
#include <array>
#include <optional>

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
// alone, which is what most large sweeps search, only that section is made again for each.
class Settings {
 public:
  Settings(Builder& builder, const Axes& axes) : builder_(builder), base_(builder.common()) {
    base_["task"] = axes.task;
    base_["train"] = axes.train;
    if (axes.drop) {
      base_["drop"] = *axes.drop;
      base_["adapter"] = builder.stage().at("adapter");
    }
    for (const json& name : builder.stage().at("parameters")) {
      const auto parameter = find_parameter(name.get<std::string>());
      if (!parameter) continue;  // as apply_point()
      plain_ = plain_ && !decides_others(*parameter);
      keys_.emplace_back(parameter->full, setting_name(*parameter->key));
    }
  }

  // No point: one that is drawn later.
  [[nodiscard]] JobSettings at(const json* point) {
    if (first_ && point != nullptr && is_like_first(*point)) return like_first(*point);
    json settings = base_;
    take_point(settings, point, builder_.stage());
    const auto members = builder_.pool().share(settings);
    if (!first_ && plain_ && point != nullptr) {
      first_ = members;
      point_ = *point;
      train_ = settings.at("train");
    }
    return JobSettings(members);
  }

 private:
  // The same keys, so that only values differ.
  [[nodiscard]] bool is_like_first(const json& point) const {
    return std::ranges::all_of(
        keys_, [&](const auto& key) { return point.contains(key.first) == point_.contains(key.first); });
  }

  [[nodiscard]] JobSettings like_first(const json& point) {
    for (const auto& [full, key] : keys_) {
      if (const auto value = point.find(full); value != point.end()) train_[key] = *value;
    }
    auto members = std::make_shared<JobSettings::Members>(*first_);
    const auto train = std::ranges::find(*members, "train", [](const auto& member) { return member->key; });
    std::string text = canonical_json(train_);
    if (text != (*train)->text)
      *train = std::make_shared<const JobSettings::Member>(JobSettings::Member{"train", std::move(text)});
    return JobSettings(std::shared_ptr<const JobSettings::Members>(std::move(members)));
  }

  Builder& builder_;
  json base_;
  std::vector<std::pair<std::string, std::string>> keys_;  // sampled: by the full name, and in the section
  bool plain_ = true;                                      // points differ in values of the training alone
  std::shared_ptr<const JobSettings::Members> first_;      // of the first point
  json point_, train_;
};

// The columns that a comparison group has in common.
json group_columns(const json& stage) {
  return stage.at("stop").is_null() ? json::array({"task", "drop"}) : stage.at("stop").at("per");
}

// One setting: a job for each seed. `point` is that of the setting, or empty and a trial's of `like`.
bool add_setting(Builder& builder, const Axes& axes, Settings* settings, const json& point, std::uint32_t setting,
                 const Job& like) {
  const json& stage = builder.stage();
  const bool open = like.search != kNoSearch;
  Job job = like;
  job.parameters = parameters_of(point);
  if (builder.is_excluded(job)) return true;
  if (open && job.trial == 0 && !builder.can_draw(job)) return true;
  job.epochs = epochs_of(axes.train, point);
  if (settings != nullptr) job.settings = settings->at(open ? nullptr : &point);
  const json columns = group_columns(stage);
  const bool by_seed = std::ranges::find(columns, "seed") != columns.end();
  job.group = by_seed ? "" : group_of(job, stage.at("name"), columns);
  for (const json& seed : stage.at("seeds")) {
    Job one = job;
    one.seed = seed;
    if (by_seed) one.group = group_of(one, stage.at("name"), columns);
    if (settings != nullptr) one.settings.add("seed", seed);
    if (settings != nullptr && open) one.settings.add("trial", one.trial);
    if (!builder.add(std::move(one), setting)) return false;
  }
  return true;
}

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
      const Axes axes{tasks[t], stage.at("train")[t], finetune ? nullptr : &drop};
      std::optional<Settings> settings;
      if (builder.identities) settings.emplace(builder, axes);
      Job like;
      like.kind = finetune ? Kind::finetune : Kind::adapter;
      like.task = axes.task.at("name");
      if (axes.drop) like.drop = drop_label(*axes.drop);
      if (drawn) like.search = builder.begin_search();
      for (std::size_t i = 0; i < count; ++i) {
        if (drawn) like.trial = static_cast<std::uint32_t>(i);
        const json& point = drawn ? kNoPoint : stage.at("points")[i];
        if (!add_setting(builder, axes, settings ? &*settings : nullptr, point, setting++, like)) return;
      }
    }
  }
}

}  // namespace fathom::sweeps
