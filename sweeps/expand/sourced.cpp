// prune and evaluate stages: one source model each, all of them or the best of each group.
#include <algorithm>
#include <map>

#include "sweeps/expand/builder.hpp"
#include "sweeps/greedy.hpp"
#include "sweeps/resolve/conditions.hpp"

namespace fathom::sweeps {
namespace {

using nlohmann::json;

constexpr const char* kThreshold = "prune.threshold";

// A model that is asked for, with what is known of it before it is chosen.
struct Source {
  Need need;
  Job like;  // task, drop, set, keep, seed, parameters: those that all its contenders share
  std::size_t set_place = 0;
  std::size_t members = 0;  // of the fusion; 0: unknown
  std::size_t task_place = 0;
  std::uint32_t setting = 0;  // sources that differ in the seed only are one setting
};

// standard < specialised rising < robust; unknown first.
std::uint64_t drop_place(const std::string& label) {
  if (label.empty()) return 0;
  if (label.rfind("robust", 0) == 0) return 100'000;
  return 1 + specialized_n(label);
}

class SourcedStage {
 public:
  explicit SourcedStage(Builder& builder) : builder_(builder), stage_(builder.stage()), source_(stage_.at("source")) {}

  void expand() {
    for (const json& from : source_.at("from")) collect(from.get<std::size_t>());
    std::stable_sort(sources_.begin(), sources_.end(), [](const Source& a, const Source& b) {
      return std::make_tuple(a.task_place, drop_place(a.like.drop), a.set_place) <
             std::make_tuple(b.task_place, drop_place(b.like.drop), b.set_place);
    });
    if (stage_.at("kind") == "prune") {
      add_prunes();
    } else {
      add_evaluates();
    }
  }

 private:
  void collect(std::size_t from) {
    std::vector<Model> models;
    for (const Model& model : builder_.models(from)) {
      if (meets(source_.at("where"), [&](const std::string& column) { return builder_.column(model.job, column); }))
        models.push_back(model);
    }
    if (models.empty()) {
      const std::string stage = "stage '" + builder_.stage_name(from) + "'";
      const std::string later = builder_.drawn_later(source_.at("where"), from);
      const bool none = builder_.models(from).empty();
      if (none && builder_.broken(from)) return builder_.pass_on();
      builder_.problem("from: " + (none             ? stage + " makes no job"
                                   : !later.empty() ? later
                                                    : "no job of " + stage + " meets `where`"),
                       none ? "from" : "where");
      return;
    }
    if (!source_.at("best").is_null()) {
      choose(models);
      return;
    }
    std::uint32_t last = models.front().setting;
    for (const Model& model : models) {
      if (model.setting != last) ++setting_;
      last = model.setting;
      Need need;
      need.contenders = {{{model.job}}};
      push(std::move(need), setting_);
    }
    ++setting_;
  }

  [[nodiscard]] std::string group_key(JobIndex job) const {
    std::string key;
    for (const json& column : source_.at("per")) {
      const auto value = builder_.column(job, column);
      key += (value ? value->dump() : "") + "/";
    }
    return key;
  }

  // For each group the best settings by their mean over seeds, each with all its seeds.
  void choose(const std::vector<Model>& models) {
    std::vector<std::vector<Contender>> groups;
    std::map<std::string, std::size_t> place;                             // of a group, in order of appearance
    std::map<std::pair<std::size_t, std::uint32_t>, std::size_t> within;  // (group, setting) -> contender
    for (const Model& model : models) {
      const std::size_t group = place.try_emplace(group_key(model.job), groups.size()).first->second;
      if (group == groups.size()) groups.emplace_back();
      const auto [contender, is_new] = within.try_emplace({group, model.setting}, groups[group].size());
      if (is_new) groups[group].emplace_back();
      groups[group][contender->second].jobs.push_back(model.job);
    }
    for (const auto& contenders : groups) choose_in(contenders);
  }

  void choose_in(const std::vector<Contender>& contenders) {
    std::size_t seeds = contenders.front().jobs.size();
    for (const Contender& contender : contenders) seeds = std::min(seeds, contender.jobs.size());
    const std::size_t best = std::min<std::size_t>(source_.at("best").get<std::size_t>(), contenders.size());
    for (std::size_t rank = 0; rank < best; ++rank, ++setting_) {
      for (std::size_t seed = 0; seed < seeds; ++seed) {
        Need need;
        need.contenders = contenders;
        need.rank = static_cast<std::uint32_t>(rank);
        need.seed_place = static_cast<std::uint32_t>(seed);
        push(std::move(need), setting_);
      }
    }
  }

  void push(Need need, std::uint32_t setting) {
    need.name = "source";
    need.goal = builder_.plan().goal;
    Source source;
    const Job& first = builder_.job(need.contenders.front().jobs[need.seed_place]);
    Job& like = source.like;
    like.task = first.task;
    like.drop = first.drop;
    like.set = first.set;
    like.keep = first.keep;
    like.seed = first.seed;
    like.parameters = first.parameters;
    if (first.kind == Kind::fusion) source.members = members_of(first);
    for (const Contender& contender : need.contenders) {
      const Job& one = builder_.job(contender.jobs[need.seed_place]);
      if (one.drop != like.drop) like.drop = {};
      if (one.set != like.set) like.set = {}, source.members = 0;
      if (one.keep != like.keep) like.keep = 0;
      if (one.parameters != like.parameters) like.parameters.clear();
    }
    source.task_place = task_place(like.task);
    source.set_place = like.set.empty() ? 0 : sets_.try_emplace(like.set, sets_.size() + 1).first->second;
    source.need = std::move(need);
    source.setting = setting;
    sources_.push_back(std::move(source));
  }

  [[nodiscard]] std::size_t task_place(const std::string& name) const {
    const json& tasks = builder_.sweep.at("tasks");
    std::size_t place = 0;
    while (place < tasks.size() && tasks[place].at("name") != name) ++place;
    return place;
  }

  void add_prunes() {
    std::map<std::string, std::size_t> too_many;  // set -> prunes that make no job
    // Per source setting all its seeds for one k, then the next k: k stands between set and parameters.
    const json& keep = stage_.at("keep");
    const json thresholds = stage_.value("threshold", json::array());  // sweeps stored before it existed have none
    const auto ways = static_cast<std::uint32_t>(keep.size() + thresholds.size());
    for (std::size_t k = 0; k < keep.size(); ++k) {
      for (const Source& source : sources_) {
        if (source.members != 0 && keep[k].get<std::size_t>() >= source.members) {
          ++too_many[source.like.set + " to " + keep[k].dump()];
          continue;
        }
        Source pruned = source;
        pruned.like.keep = keep[k];
        pruned.setting = source.setting * ways + static_cast<std::uint32_t>(k);
        prunes_.push_back(std::move(pruned));
      }
    }
    for (std::size_t t = 0; t < thresholds.size(); ++t) {
      for (const Source& source : sources_) {
        Source pruned = source;
        // How many stay is not known before the attention is: a setting like a sampled parameter, not a number kept.
        pruned.like.parameters.set(kThreshold, thresholds[t]);
        pruned.setting = source.setting * ways + static_cast<std::uint32_t>(keep.size() + t);
        prunes_.push_back(std::move(pruned));
      }
    }
    for (const auto& [what, count] : too_many) {
      builder_.note("stage '" + stage_.at("name").get<std::string>() + "': pruning " + what + " adapters keeps all; " +
                    std::to_string(count) + " jobs are not made");
    }
    std::stable_sort(prunes_.begin(), prunes_.end(), [](const Source& a, const Source& b) {
      return std::make_tuple(a.task_place, drop_place(a.like.drop), a.set_place) <
             std::make_tuple(b.task_place, drop_place(b.like.drop), b.set_place);
    });
    for (const Source& source : prunes_) {
      json extra = stage_.at("prune");
      if (source.like.keep > 0) extra["keep"] = source.like.keep;
      if (source.like.keep == 0) extra["threshold"] = source.like.parameters.at(kThreshold);
      if (!add(source, Kind::prune, extra)) return;
    }
  }

  void add_evaluates() {
    std::size_t below = 0;
    for (const Source& source : sources_) {
      json depths = stage_.at("depths");
      if (depths.is_array()) {
        for (const json& depth : depths) builder_.check_depth(depth.get<std::uint64_t>(), "depth");
        const std::uint32_t n =
            specialized_n(source.like.drop);  // below it a specialised model has no adapters (rule 12)
        json kept = json::array();
        std::copy_if(depths.begin(), depths.end(), std::back_inserter(kept),
                     [n](const json& depth) { return depth >= n; });
        depths = std::move(kept);
      }
      if (depths.empty()) {
        ++below;
        continue;
      }
      if (!add(source, Kind::evaluate, {{"depths", depths}})) return;
    }
    if (below > 0) {
      builder_.note("stage '" + stage_.at("name").get<std::string>() + "': " + std::to_string(below) +
                    " specialised models have an n above every depth; they are not evaluated");
    }
  }

  // Jobs that ask the same of models of one task differ in their models alone.
  const JobSettings& shared_settings(const std::string& task, Kind kind, const json& extra) {
    const auto [known, is_new] = shared_.try_emplace({task, extra.dump()});
    if (is_new) {
      json settings = builder_.common();
      settings["task"] = builder_.task(task);
      settings[name_of(kind)] = extra;
      known->second = builder_.share(settings);
    }
    return known->second;
  }

  bool add(const Source& source, Kind kind, const json& extra) {
    Job job = source.like;
    job.kind = kind;
    job.group = group_of(job, stage_.at("name"), json::array({"task", "drop", "set"}));
    if (builder_.identities) {
      job.settings = shared_settings(job.task, kind, extra);
      job.settings.add("from", json::array({builder_.asked(source.need)}));
      if (kind == Kind::prune) job.settings.add("seed", job.seed);
    }
    job.needs = {source.need};
    return builder_.add(std::move(job), source.setting);
  }

  Builder& builder_;
  const json& stage_;
  const json& source_;
  std::vector<Source> sources_;
  std::vector<Source> prunes_;
  std::map<std::pair<std::string, std::string>, JobSettings> shared_;  // by task and what is asked
  std::map<std::string, std::size_t> sets_;  // place of a set: order of appearance, none first
  std::uint32_t setting_ = 0;
};

}  // namespace

void expand_sourced(Builder& builder) { SourcedStage(builder).expand(); }

}  // namespace fathom::sweeps
