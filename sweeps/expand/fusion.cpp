// fusion stages: targets x drops x sets x points x seeds, each with one need for every member of its set. Sets that are
// chosen by results have before them a stage of the fusions that are tried for them (`tries`).
#include <algorithm>
#include <map>
#include <tuple>

#include "sweeps/expand/builder.hpp"
#include "sweeps/greedy.hpp"
#include "sweeps/resolve/conditions.hpp"

namespace fathom::sweeps {
namespace {

using nlohmann::json;

Stat stat_named(const std::string& name) {
  for (const Stat stat : {Stat::median, Stat::min, Stat::max}) {
    if (name == name_of(stat)) return stat;
  }
  return Stat::mean;
}

struct Members {
  std::vector<Contender> contenders;
  std::vector<std::int64_t> seeds;  // of every contender, in order
};

class FusionStage {
 public:
  explicit FusionStage(Builder& builder) : builder_(builder), stage_(builder.stage()), needs_(stage_.at("needs")) {}

  void expand() {
    note_outside();
    for (const json& task : builder_.sweep.at("tasks")) {
      for (const json& drop : stage_.at("drops")) {
        builder_.check_drop(drop);
        for (std::size_t set = 0; set < stage_.at("sets").size(); ++set) {
          const json& targets = stage_.at("targets")[set];
          if (std::find(targets.begin(), targets.end(), task.at("name")) == targets.end()) continue;
          const json& members = stage_.at("sets")[set];
          if (!(stage_.value("tries", false) ? add_tries(task, drop, members) : add_settings(task, drop, members)))
            return;
        }
      }
    }
    if (stage_.value("tries", false) && !builder_.models(builder_.stage_index()).empty()) {
      builder_.note("stage '" + stage_.at("name").get<std::string>() +
                    "': fusions on a budget, by which the sets of the stage after it are chosen");
    }
  }

 private:
  // People see in the plan what the file itself does not make.
  void note_outside() {
    const std::string stage = "stage '" + stage_.at("name").get<std::string>() + "': ";
    for (const json& from : needs_.value("elsewhere", json::array()))
      builder_.note(stage + "members are chosen from sweep:" + from.at("sweep").get<std::string>() + "/" +
                    from.at("stage").get<std::string>() + " when it is there");
    const json folders = needs_.value("folders", json::object());  // named: items() refers to it
    for (const auto& [task, path] : folders.items())
      builder_.note(stage + "the member " + task + " is the adapter in " + path.get<std::string>());
  }

  [[nodiscard]] bool from_folder(const json& member) const {
    return needs_.contains("folders") && needs_.at("folders").contains(member.get_ref<const std::string&>());
  }
  [[nodiscard]] bool from_elsewhere() const { return needs_.contains("elsewhere"); }

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
                             "' have different seeds; take stages with the same seeds",
                         "needs.from");
    }
  }

  // Those of the first member that this file makes; of none the file's own.
  std::vector<std::int64_t> seeds_of(const json& set, const std::string& drop) {
    for (const json& member : set) {
      if (from_folder(member)) continue;
      const Members& found = members(member, drop, nullptr);
      if (!found.seeds.empty()) return found.seeds;
    }
    return needs_.at("root_seeds").get<std::vector<std::int64_t>>();
  }

  // (seed of the fusion, place of its members' seed).
  std::vector<std::pair<std::int64_t, std::uint32_t>> runs(const std::vector<std::int64_t>& seeds, bool made_here) {
    const auto& mode = needs_.at("seeds").get_ref<const std::string&>();
    std::vector<std::int64_t> own = seeds;
    if (!stage_.at("seeds").is_null()) own = stage_.at("seeds").get<std::vector<std::int64_t>>();
    if (mode == "best" && stage_.at("seeds").is_null()) own.resize(1);
    std::vector<std::pair<std::int64_t, std::uint32_t>> out;
    for (const std::int64_t seed : own) {
      const auto place = static_cast<std::uint32_t>(std::find(seeds.begin(), seeds.end(), seed) - seeds.begin());
      if (mode == "best" || !made_here) {
        out.emplace_back(seed, 0);
      } else if (mode == "all") {
        for (std::uint32_t i = 0; i < seeds.size(); ++i) out.emplace_back(seed, i);
      } else if (place == seeds.size()) {
        builder_.problem(
            "needs: there are no members of seed " + std::to_string(seed) +
                "; give their stage that seed, or take members of other seeds with needs.seeds: best or all",
            "seeds");
      } else {
        out.emplace_back(seed, place);
      }
    }
    return out;
  }

  // Of a set that is chosen by results: the tasks whose adapters may be in it, in file order.
  [[nodiscard]] json pool_of(const json& set, const json& target) const {
    json out = json::array();
    for (const json& task : builder_.sweep.at("tasks")) {
      const json& name = task.at("name");
      const json& pool = set.at("pool");
      if (name == target || std::find(pool.begin(), pool.end(), name) != pool.end()) out.push_back(name);
    }
    return out;
  }

  static std::string key_of(const json& set, const Job& job, std::uint32_t step, std::size_t place) {
    return set.dump() + "\n" + job.task + "\n" + job.drop + "\n" + std::to_string(step) + "\n" + std::to_string(place);
  }

  // The fusions of a step: one for each adapter that is left then.
  bool add_tries(const json& task, const json& drop, const json& set) {
    Job job;
    job.kind = Kind::fusion;
    job.task = task.at("name").get<std::string>();
    job.drop = drop_label(drop);
    job.epochs = set.at("budget");
    job.parameters.set("greedy.budget", set.at("budget"));
    const json pool = pool_of(set, task.at("name"));
    if (builder_.is_excluded(job) || !all_members(pool, job.drop)) return true;
    static const json kNoPoint = json::object();
    json train = stage_.at("train")[task_place(job.task)];
    train["epochs"] = set.at("budget");
    for (std::uint32_t step = 1; step < set.at("greedy").get<std::uint32_t>(); ++step) {
      for (std::uint32_t place = 0; place + step < pool.size(); ++place) {
        job.set = "greedy-" + std::to_string(step + 1) + "-try-" + std::to_string(place + 1);
        if (builder_.identities)
          job.settings = builder_.share(settings_of(task, drop, {{"step", step}, {"try", place}}, train, &kNoPoint));
        job.greedy = GreedySet{static_cast<std::uint32_t>(pool.size()), own_place(pool, job.task), place};
        if (!add_seeds(job, set, pool, step - 1, &builder_.tries[key_of(set, job, step, place)])) return false;
      }
    }
    return true;
  }

  static std::uint32_t own_place(const json& pool, const std::string& task) {
    return static_cast<std::uint32_t>(std::find(pool.begin(), pool.end(), json(task)) - pool.begin());
  }

  std::shared_ptr<const Elsewhere> elsewhere(const json& from, const std::string& member, const std::string& drop,
                                             const json& seed) {
    Elsewhere asked{from.at("sweep"), from.at("stage"), needs_.at("where"), member, per("drop") ? drop : "", {}};
    if (!seed.is_null()) asked.seed = seed.get<std::int64_t>();
    auto& known = elsewhere_[asked.sweep + "\n" + asked.stage + "\n" + member + "\n" + asked.drop + seed.dump()];
    if (!known) known = std::make_shared<const Elsewhere>(std::move(asked));
    return known;
  }

  // One for each member that is no folder; nothing when one is missing (reported).
  std::optional<std::vector<Need>> needs_of(const json& set, const std::string& drop, std::int64_t seed,
                                            std::uint32_t place) {
    std::vector<Need> out;
    for (const json& member : set) {
      if (from_folder(member)) continue;
      const json one_seed = per("seed") ? json(seed) : json(nullptr);
      const Members& found = members(member, drop, one_seed);
      if (found.contenders.empty() && !from_elsewhere()) return std::nullopt;
      Need need;
      for (const json& from : needs_.value("elsewhere", json::array()))
        need.elsewhere.push_back(elsewhere(from, member, drop, one_seed));
      need.seed = seed;
      need.stat = stat_;
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

  // Some member is an adapter of this file.
  bool makes_one(const json& set, const std::string& drop) {
    return std::any_of(set.begin(), set.end(), [&](const json& member) {
      return !from_folder(member) && !members(member, drop, nullptr).contenders.empty();
    });
  }

  bool all_members(const json& set, const std::string& drop) {
    for (const json& member : set) {
      if (from_folder(member) || from_elsewhere() || !members(member, drop, nullptr).contenders.empty()) continue;
      for (const json& from : needs_.at("from")) {
        const std::string later = builder_.drawn_later(needs_.at("where"), from.get<std::size_t>());
        if (later.empty()) continue;
        builder_.problem("needs: " + later, "needs.where");
        return false;
      }
      builder_.problem("needs: no job of the stages in `from` is an adapter for '" + member.get<std::string>() + "'" +
                           (needs_.at("where").empty() ? "" : " that meets `where`") +
                           (per("drop") ? " with drop " + drop : ""),
                       needs_.at("where").empty() ? "needs.from" : "needs.where");
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
    job.task = task.at("name").get<std::string>();
    job.drop = drop_label(drop);
    const bool chosen = set.is_object();
    const json names = chosen ? pool_of(set, job.task) : set;
    job.parameters = JobParameters(point);
    if (chosen) {
      job.set = "greedy-" + set.at("greedy").dump();
      job.parameters.set("greedy.members", set.at("greedy"));
      job.greedy = GreedySet{static_cast<std::uint32_t>(names.size()), own_place(names, job.task), std::nullopt};
    } else {
      std::string names_text;
      for (const json& member : set) names_text += (names_text.empty() ? "" : "+") + member.get<std::string>();
      job.set = std::move(names_text);
    }
    if (builder_.is_excluded(job) || !all_members(names, job.drop)) return true;
    if (job.search != kNoSearch && job.trial == 0 && !builder_.can_draw(job)) return true;
    const json& train = stage_.at("train")[task_place(job.task)];
    job.epochs = epochs_of(train, point);
    if (builder_.identities) {
      const bool open = job.search != kNoSearch;
      const json named = chosen ? json{{"greedy", set.at("greedy")}} : set;
      job.settings = builder_.share(settings_of(task, drop, named, train, open ? nullptr : &point));
    }
    for (const json& member : names) {
      if (from_folder(member)) job.folders.push_back({member, needs_.at("folders").at(member.get<std::string>())});
    }
    return add_seeds(job, set, names, chosen ? set.at("greedy").get<std::uint32_t>() - 1 : 0, nullptr);
  }

  // One setting: a job for each seed, with a need for each member and one for each choice that is made before it.
  bool add_seeds(const Job& job, const json& set, const json& names, std::uint32_t choices, Contender* tried) {
    for (const auto& [seed, place] : runs(seeds_of(names, job.drop), makes_one(names, job.drop))) {
      Job one = job;
      one.seed = seed;
      auto needs = needs_of(names, job.drop, seed, place);
      if (!needs) continue;
      one.needs = *std::move(needs);
      for (std::uint32_t step = 1; step <= choices; ++step) one.needs.push_back(choice(set, one, step, names.size()));
      one.group =
          group_of(one, stage_.at("name"),
                   stage_.at("stop").is_null() ? json::array({"task", "drop", "set"}) : stage_.at("stop").at("per"));
      if (builder_.identities) add_own(one, names);
      if (!builder_.add(std::move(one), setting_)) return false;
      if (tried != nullptr) tried->jobs.push_back(builder_.models(builder_.stage_index()).back().job);
    }
    ++setting_;
    return true;
  }

  // Which adapter is taken in a step: that of the fusion that came to most, as the mean over its seeds.
  [[nodiscard]] Need choice(const json& set, const Job& job, std::uint32_t step, std::size_t pool) const {
    Need out;
    out.name = choice_name(step + 1);
    for (std::size_t place = 0; place + step < pool; ++place)
      out.contenders.push_back(builder_.tries.at(key_of(set, job, step, place)));
    out.goal = builder_.plan().goal;
    out.on_missing = job.needs.front().on_missing;
    return out;
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

  void add_own(Job& job, const json& members) const {
    json from = json::array();
    auto need = job.needs.begin();
    for (const json& member : members) {
      if (from_folder(member)) {
        from.push_back({{"name", member}, {"folder", needs_.at("folders").at(member.get<std::string>())}});
      } else {
        from.push_back(builder_.asked(*need++));
      }
    }
    for (; need != job.needs.end(); ++need) from.push_back(builder_.asked(*need));  // choices
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
  std::map<std::string, std::shared_ptr<const Elsewhere>> elsewhere_;
  const Stat stat_ = stat_named(needs_.value("stat", "mean"));
  std::uint32_t setting_ = 0;
};

}  // namespace

void expand_fusion(Builder& builder) { FusionStage(builder).expand(); }

}  // namespace fathom::sweeps
