// fusion stages: targets x drops x sets x points x seeds, each with one need for every member of its set.
#include <algorithm>
#include <map>
#include <tuple>

#include "sweeps/expand/builder.hpp"
#include "sweeps/resolve/conditions.hpp"

namespace fathom::sweeps {
namespace {

using nlohmann::json;

struct Members {
  std::vector<Contender> contenders;
  std::vector<std::int64_t> seeds;  // of every contender, in order
};

class FusionStage {
 public:
  explicit FusionStage(Builder& builder) : builder_(builder), stage_(builder.stage()), needs_(stage_.at("needs")) {}

  void expand() {
    for (const json& task : builder_.sweep.at("tasks")) {
      for (const json& drop : stage_.at("drops")) {
        builder_.check_drop(drop);
        for (std::size_t set = 0; set < stage_.at("sets").size(); ++set) {
          const json& targets = stage_.at("targets")[set];
          if (std::find(targets.begin(), targets.end(), task.at("name")) == targets.end()) continue;
          if (!add_settings(task, drop, stage_.at("sets")[set])) return;
        }
      }
    }
  }

 private:
  [[nodiscard]] bool per(const char* column) const {
    const json& columns = needs_.at("per");
    return std::find(columns.begin(), columns.end(), json(column)) != columns.end();
  }

  [[nodiscard]] bool competes(JobIndex index, const std::string& member, const std::string& drop,
                              const json& seed) const {
    const Job& job = builder_.job(index);
    if (job.task != member || (per("drop") && job.drop != drop) || (!seed.is_null() && job.seed != seed)) return false;
    return meets(needs_.at("where"), [&](const std::string& column) { return builder_.column(index, column); });
  }

  // The adapters of a task that compete for its place; asked for again by every fusion, so remembered.
  const Members& members(const std::string& member, const std::string& drop, const json& seed) {
    const auto key = std::make_tuple(member, per("drop") ? drop : "", seed.dump());
    const auto known = known_.find(key);
    if (known != known_.end()) return known->second;
    Members found;
    for (const json& from : needs_.at("from")) add_contenders(found, from.get<std::size_t>(), member, drop, seed);
    return known_.emplace(key, std::move(found)).first->second;
  }

  void add_contenders(Members& found, std::size_t from, const std::string& member, const std::string& drop,
                      const json& seed) {
    std::uint32_t setting = 0;
    const std::size_t before = found.contenders.size();
    for (const Model& model : builder_.models(from)) {
      if (!competes(model.job, member, drop, seed)) continue;
      if (found.contenders.size() == before || model.setting != setting) found.contenders.emplace_back();
      setting = model.setting;
      found.contenders.back().jobs.push_back(model.job);
    }
    for (std::size_t i = before; i < found.contenders.size(); ++i) {
      std::vector<std::int64_t> seeds;
      for (const JobIndex job : found.contenders[i].jobs) seeds.push_back(builder_.job(job).seed);
      if (found.seeds.empty()) found.seeds = seeds;
      if (found.seeds != seeds)
        builder_.problem("needs: the adapters that compete for '" + member +
                         "' have different seeds; take stages with the same seeds");
    }
  }

  // (seed of the fusion, place of its members' seed).
  std::vector<std::pair<std::int64_t, std::uint32_t>> runs(const std::vector<std::int64_t>& seeds) {
    const auto& mode = needs_.at("seeds").get_ref<const std::string&>();
    std::vector<std::int64_t> own = seeds;
    if (!stage_.at("seeds").is_null()) own = stage_.at("seeds").get<std::vector<std::int64_t>>();
    if (mode == "best" && stage_.at("seeds").is_null()) own.resize(1);
    std::vector<std::pair<std::int64_t, std::uint32_t>> out;
    for (const std::int64_t seed : own) {
      const auto place = static_cast<std::uint32_t>(std::find(seeds.begin(), seeds.end(), seed) - seeds.begin());
      if (mode == "all") {
        for (std::uint32_t i = 0; i < seeds.size(); ++i) out.emplace_back(seed, i);
      } else if (mode == "best") {
        out.emplace_back(seed, 0);
      } else if (place == seeds.size()) {
        builder_.problem("needs: the members have no seed " + std::to_string(seed) +
                         "; seeds: best or all does not match seeds");
      } else {
        out.emplace_back(seed, place);
      }
    }
    return out;
  }

  // Empty when a member is missing (reported).
  std::vector<Need> needs_of(const json& set, const std::string& drop, std::int64_t seed, std::uint32_t place) {
    std::vector<Need> out;
    for (const json& member : set) {
      const json one_seed = per("seed") ? json(seed) : json(nullptr);
      const Members& found = members(member, drop, one_seed);
      if (found.contenders.empty()) return {};
      Need need;
      need.name = member;
      need.contenders = found.contenders;
      need.seed_place = per("seed") ? 0 : place;
      need.best_seed = needs_.at("seeds") == "best";
      need.accept_stopped = needs_.at("stopped");
      need.goal = builder_.plan().goal;
      const auto& missing = needs_.at("on_missing").get_ref<const std::string&>();
      need.on_missing = missing == "fail" ? OnMissing::fail : missing == "wait" ? OnMissing::wait : OnMissing::skip;
      out.push_back(std::move(need));
    }
    return out;
  }

  bool all_members(const json& set, const std::string& drop) {
    for (const json& member : set) {
      if (!members(member, drop, nullptr).contenders.empty()) continue;
      builder_.problem("needs: no job of the stages in `from` is an adapter for '" + member.get<std::string>() +
                       "' that meets `where`" + (per("drop") ? " with drop " + drop : ""));
      return false;
    }
    return true;
  }

  bool add_settings(const json& task, const json& drop, const json& set) {
    static const json kNoPoint = json::object();
    const bool open = is_drawn(stage_);
    Job like;
    if (open) like.search = builder_.begin_search();
    for (std::size_t i = 0; i < settings_in(stage_); ++i) {
      if (open) like.trial = static_cast<std::uint32_t>(i);
      if (!add_setting(task, drop, set, open ? kNoPoint : stage_.at("points")[i], like)) return false;
    }
    return true;
  }

  // `point` is that of the setting, or empty and a trial's of `like`.
  bool add_setting(const json& task, const json& drop, const json& set, const json& point, const Job& like) {
    Job job = like;
    job.kind = Kind::fusion;
    job.task = task.at("name");
    job.drop = drop_label(drop);
    for (const json& member : set) job.set += (job.set.empty() ? "" : "+") + member.get<std::string>();
    job.parameters = parameters_of(point);
    if (is_excluded(job, stage_.at("exclude")) || !all_members(set, job.drop)) return true;
    if (job.search != kNoSearch && job.trial == 0 && !builder_.can_draw(job)) return true;
    const json& train = stage_.at("train")[task_place(job.task)];
    job.epochs = epochs_of(train, point);
    if (builder_.identities) {
      const bool open = job.search != kNoSearch;
      job.settings = builder_.share(settings_of(task, drop, set, train, open ? nullptr : &point));
    }
    for (const auto& [seed, place] : runs(members(set.at(0), job.drop, nullptr).seeds)) {
      Job one = job;
      one.seed = seed;
      one.needs = needs_of(set, job.drop, seed, place);
      if (one.needs.empty()) continue;
      one.group =
          group_of(one, stage_.at("name"),
                   stage_.at("stop").is_null() ? json::array({"task", "drop", "set"}) : stage_.at("stop").at("per"));
      if (builder_.identities) add_own(one);
      if (!builder_.add(std::move(one), setting_)) return false;
    }
    ++setting_;
    return true;
  }

  // Everything but the seed and what it asks of its inputs. No point: one that is drawn later.
  [[nodiscard]] json settings_of(const json& task, const json& drop, const json& set, const json& train,
                                 const json* point) const {
    json settings = builder_.common();
    settings["train"] = train;
    settings["task"] = task;
    settings["drop"] = drop;
    settings["fusion"] = stage_.at("fusion");
    settings["fusion"]["set"] = set;
    take_point(settings, point, stage_);
    return settings;
  }

  void add_own(Job& job) const {
    json from = json::array();
    for (const Need& need : job.needs) from.push_back(builder_.asked(need));
    job.settings.add("seed", job.seed);
    if (job.search != kNoSearch) job.settings.add("trial", job.trial);
    job.settings.add("from", from);
  }

  [[nodiscard]] std::size_t task_place(const std::string& name) const {
    const json& tasks = builder_.sweep.at("tasks");
    std::size_t place = 0;
    while (place + 1 < tasks.size() && tasks[place].at("name") != name) ++place;
    return place;
  }

  Builder& builder_;
  const json& stage_;
  const json& needs_;
  std::map<std::tuple<std::string, std::string, std::string>, Members> known_;
  std::uint32_t setting_ = 0;
};

}  // namespace

void expand_fusion(Builder& builder) { FusionStage(builder).expand(); }

}  // namespace fathom::sweeps
