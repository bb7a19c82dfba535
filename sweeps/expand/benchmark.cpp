// benchmark stages: devices x shapes x measures x subjects x (adapter | members) x depths. What is compared with each
// other is measured next to each other, so that a machine that gets slower meanwhile does least harm.
#include <algorithm>
#include <set>

#include "sweeps/expand/builder.hpp"

namespace fathom::sweeps {
namespace {

using nlohmann::json;

bool holds(const json& list, const char* word) { return std::find(list.begin(), list.end(), json(word)) != list.end(); }

// What is the same in all jobs at one place of the axes that come first.
struct Conditions {
  json device, batch, length, measure;
};

class BenchmarkStage {
 public:
  explicit BenchmarkStage(Builder& builder) : builder_(builder), stage_(builder.stage().at("benchmark")) {}

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
    if (!adapter.is_null()) {
      fill_adapter(adapter);
      if (adapter.value("share", "none") == "none") adapter.erase("share");  // as jobs that train an adapter
    }
    // A baseline may be a subject as well.
    if (!made_.insert(json::array({at.device, own, adapter}).dump()).second) return true;
    Job job;
    job.kind = Kind::benchmark;
    if (subject != "finetune" && depth.is_number())
      job.drop = drop_label({{"kind", depth == 0 ? "standard" : "specialized"}, {"n", depth}});
    for (const char* key : {"subject", "measure", "batch", "length", "members"}) {
      if (own.contains(key)) job.parameters[std::string("benchmark.") + key] = own.at(key);
    }
    job.parameters["benchmark.device"] = at.device;
    if (!adapter.is_null()) job.parameters["benchmark.config"] = adapter.at("config");
    if (builder_.identities) {
      json settings = builder_.common();
      settings.erase("objective");  // nothing is better than something else
      settings["device"] = at.device;
      settings["benchmark"] = std::move(own);
      if (!adapter.is_null()) settings["adapter"] = std::move(adapter);
      job.settings = builder_.share(settings);
    }
    return builder_.add(std::move(job), setting_++);
  }

  Builder& builder_;
  const json& stage_;
  std::set<std::string> made_;
  std::uint32_t setting_ = 0;
};

}  // namespace

void expand_benchmark(Builder& builder) { BenchmarkStage(builder).expand(); }

}  // namespace fathom::sweeps
