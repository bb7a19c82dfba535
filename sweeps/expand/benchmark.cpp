// benchmark stages: devices x shapes x measures x subjects x (adapter | members) x depths. What is compared with each
// other is measured next to each other, so that a machine that gets slower meanwhile does least harm.
#include <algorithm>
#include <map>
#include <set>

#include "sweeps/expand/builder.hpp"
#include "sweeps/resolve/conditions.hpp"

namespace fathom::sweeps {
namespace {

using nlohmann::json;

bool holds(const json& list, const char* word) { return std::find(list.begin(), list.end(), json(word)) != list.end(); }

// What is the same in all jobs at one place of the axes that come first.
struct Conditions {
  json device, batch, length, measure;
};

// As jobs that train an adapter have it.
json as_in_settings(json adapter) {
  fill_adapter(adapter);
  if (adapter.value("share", "none") == "none") adapter.erase("share");
  return adapter;
}

// `members_init: trained`: of each task, in the order of the file, the best adapter of the stages in `from` that has
// the asked configuration, and weights wherever the measured depth has some.
class TrainedMembers {
 public:
  TrainedMembers(Builder& builder, const json& source) : builder_(builder), source_(source) {}

  // Of the first `count` tasks that have one; nothing after reporting that there are fewer.
  std::optional<std::vector<Need>> needs(const json& adapter, std::uint32_t depth, std::size_t count) {
    const auto [known, is_new] = known_.try_emplace({adapter.dump(), depth});
    if (is_new) known->second = all(adapter, depth);
    const std::vector<Need>& found = known->second;
    if (found.size() >= count)
      return std::vector<Need>(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(count));
    builder_.problem("from: " + std::to_string(count) + " trained " + (count == 1 ? "member" : "members") + " with " +
                         adapter.dump() + " at depth " + std::to_string(depth) + " are measured, but only " +
                         std::to_string(found.size()) + " of the tasks have such an adapter that meets `where`",
                     "from");
    return std::nullopt;
  }

 private:
  // One for each task that has such an adapter.
  [[nodiscard]] std::vector<Need> all(const json& adapter, std::uint32_t depth) const {
    std::vector<Need> out;
    for (const json& task : builder_.sweep.at("tasks")) {
      Need need;
      need.name = task.at("name");
      need.contenders = contenders(need.name, adapter, depth);
      need.best_seed = true;
      need.goal = builder_.plan().goal;
      if (!need.contenders.empty()) out.push_back(std::move(need));
    }
    return out;
  }

  [[nodiscard]] std::vector<Contender> contenders(const std::string& task, const json& adapter,
                                                  std::uint32_t depth) const {
    std::vector<Contender> out;
    for (const json& from : source_.at("from")) {
      std::optional<std::uint32_t> setting;
      for (const Model& model : builder_.models(from.get<std::size_t>())) {
        if (!fits(model.job, from, task, adapter, depth)) continue;
        if (setting != model.setting) out.emplace_back();
        setting = model.setting;
        out.back().jobs.push_back(model.job);
      }
    }
    return out;
  }

  [[nodiscard]] bool fits(JobIndex index, const json& from, const std::string& task, const json& adapter,
                          std::uint32_t depth) const {
    const Job& job = builder_.job(index);
    if (job.task != task || specialized_n(job.drop) > depth || adapter_of(job, from) != adapter) return false;
    return meets(source_.at("where"), [&](const std::string& column) { return builder_.column(index, column); });
  }

  // As it stands in the settings of the job; these are not there where only counts are asked for.
  [[nodiscard]] json adapter_of(const Job& job, const json& from) const {
    json adapter = builder_.sweep.at("stages")[from.get<std::size_t>()].at("adapter");
    for (const auto& [name, value] : job.parameters) {
      if (name.starts_with("adapter.")) adapter[name.substr(8)] = value;
    }
    return as_in_settings(std::move(adapter));
  }

  Builder& builder_;
  const json& source_;
  std::map<std::pair<std::string, std::uint32_t>, std::vector<Need>> known_;  // every shape and measure asks again
};

class BenchmarkStage {
 public:
  explicit BenchmarkStage(Builder& builder) : builder_(builder), stage_(builder.stage().at("benchmark")) {
    if (stage_.contains("source")) trained_.emplace(builder, stage_.at("source"));
  }

  void expand() {
    for (const json& device : stage_.at("device")) {
      for (const json& batch : stage_.at("batch")) {
        for (const json& length : stage_.at("length")) {
          for (const json& measure : stage_.at("measure")) {
            if (!add_all({device, batch, length, measure})) return;
          }
        }
      }
    }
  }

 private:
  // Baselines first. False: there are too many jobs.
  bool add_all(const Conditions& at) { return add_baselines(at) && add_subjects(at); }

  bool add_baselines(const Conditions& at) {
    const json& wanted = stage_.at("baseline");
    if (holds(wanted, "finetune") && !add(at, "finetune", nullptr, nullptr, 0)) return false;
    bool fine = true;
    for (const json& subject : stage_.at("subjects")) {
      const bool single = subject.at("subject") == "adapter";
      const json adapters = single ? subject.at("adapters") : json::array({stage_.at("adapter")});
      for (const json& adapter : holds(wanted, "adapter") ? adapters : json::array())
        fine = fine && add(at, "adapter", adapter, nullptr, 0);
      if (subject.at("subject") != "parallel" || !holds(wanted, "separate")) continue;
      for (const json& members : subject.at("members"))
        fine = fine && add(at, "separate", stage_.at("adapter"), members, 0);
    }
    return fine;
  }

  bool add_subjects(const Conditions& at) {
    bool fine = true;
    for (const json& subject : stage_.at("subjects")) {
      const auto& name = subject.at("subject").get_ref<const std::string&>();
      if (name == "finetune") {
        fine = fine && add(at, name, nullptr, nullptr, 0);
        continue;
      }
      const bool single = name == "adapter";
      const json& own = single ? subject.at("adapters") : subject.at("members");
      for (const json& one : own) {
        for (const json& depth : subject.at("depths")) {
          if (depth.is_number()) builder_.check_depth(depth.get<std::uint64_t>(), "depth");
          fine = fine && add(at, name, single ? one : stage_.at("adapter"), single ? json() : one, depth);
        }
      }
    }
    return fine;
  }

  bool add(const Conditions& at, const std::string& subject, json adapter, const json& members, const json& depth) {
    if (at.measure == "train" && (subject == "parallel" || subject == "separate")) return true;
    json own = {
        {"subject", subject}, {"measure", at.measure}, {"depth", depth}, {"batch", at.batch}, {"length", at.length}};
    for (const char* key : {"warmup", "steps", "repeat"}) own[key] = stage_.at(key);
    if (!members.is_null()) own["members"] = members;
    if (trained_ && subject != "finetune") own["members_init"] = "trained";
    if (!adapter.is_null()) {
      adapter = as_in_settings(std::move(adapter));
    }
    // A baseline may be a subject as well.
    if (!made_.insert(json::array({at.device, own, adapter}).dump()).second) return true;
    Job job;
    job.kind = Kind::benchmark;
    if (subject != "finetune" && depth.is_number())
      job.drop = drop_label({{"kind", depth == 0 ? "standard" : "specialized"}, {"n", depth}});
    if (own.contains("members_init")) {
      auto needs = trained_->needs(adapter, depth.is_number() ? depth.get<std::uint32_t>() : 0,
                                   members.is_null() ? 1 : members.get<std::size_t>());
      if (!needs) return true;
      job.needs = *std::move(needs);
    }
    for (const char* key : {"subject", "measure", "batch", "length", "members", "members_init"}) {
      if (own.contains(key)) job.parameters.set(std::string("benchmark.") + key, own.at(key));
    }
    job.parameters.set("benchmark.device", at.device);
    if (!adapter.is_null()) job.parameters.set("benchmark.config", adapter.at("config"));
    if (builder_.identities) {
      json settings = builder_.common();
      settings.erase("objective");  // nothing is better than something else
      settings["device"] = at.device;
      settings["benchmark"] = std::move(own);
      if (!adapter.is_null()) settings["adapter"] = std::move(adapter);
      job.settings = builder_.share(settings);
      json from = json::array();
      for (const Need& need : job.needs) from.push_back(builder_.asked(need));
      if (!from.empty()) job.settings.add("from", from);
    }
    return builder_.add(std::move(job), setting_++);
  }

  Builder& builder_;
  const json& stage_;
  std::optional<TrainedMembers> trained_;
  std::set<std::string> made_;
  std::uint32_t setting_ = 0;
};

}  // namespace

void expand_benchmark(Builder& builder) { BenchmarkStage(builder).expand(); }

}  // namespace fathom::sweeps
