// adapter and finetune stages: tasks x drops x points x seeds.
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

// Everything but the seed. No point: one that is drawn later.
json settings_of(const Builder& builder, const Axes& axes, const json* point) {
  json settings = builder.common();
  settings["task"] = axes.task;
  settings["train"] = axes.train;
  if (axes.drop) {
    settings["drop"] = *axes.drop;
    settings["adapter"] = builder.stage().at("adapter");
  }
  take_point(settings, point, builder.stage());
  return settings;
}

// One setting: a job for each seed. `point` is that of the setting, or empty and a trial's of `like`.
bool add_setting(Builder& builder, const Axes& axes, const json& point, std::uint32_t setting, const Job& like) {
  const json& stage = builder.stage();
  const bool open = like.search != kNoSearch;
  Job job = like;
  job.kind = axes.drop ? Kind::adapter : Kind::finetune;
  job.task = axes.task.at("name");
  if (axes.drop) job.drop = drop_label(*axes.drop);
  job.parameters = parameters_of(point);
  if (is_excluded(job, stage.at("exclude"))) return true;
  if (open && job.trial == 0 && !builder.can_draw(job)) return true;
  job.epochs = epochs_of(axes.train, point);
  if (builder.identities) job.settings = builder.share(settings_of(builder, axes, open ? nullptr : &point));
  for (const json& seed : stage.at("seeds")) {
    Job one = job;
    one.seed = seed;
    one.group = group_of(one, stage.at("name"),
                         stage.at("stop").is_null() ? json::array({"task", "drop"}) : stage.at("stop").at("per"));
    if (builder.identities) one.settings.add("seed", seed);
    if (builder.identities && open) one.settings.add("trial", one.trial);
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
  std::uint32_t setting = 0;
  for (std::size_t t = 0; t < tasks.size(); ++t) {
    for (const json& drop : drops) {
      if (!finetune) builder.check_drop(drop);
      Job like;
      if (is_drawn(stage)) like.search = builder.begin_search();
      const Axes axes{tasks[t], stage.at("train")[t], finetune ? nullptr : &drop};
      for (std::size_t i = 0; i < settings_in(stage); ++i) {
        if (is_drawn(stage)) like.trial = static_cast<std::uint32_t>(i);
        const json& point = is_drawn(stage) ? kNoPoint : stage.at("points")[i];
        if (!add_setting(builder, axes, point, setting++, like)) return;
      }
    }
  }
}

}  // namespace fathom::sweeps
