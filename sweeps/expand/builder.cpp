#include "sweeps/expand/builder.hpp"

#include <algorithm>

#include "sweeps/resolve/conditions.hpp"

namespace fathom::sweeps {

using nlohmann::json;

Builder::Builder(const json& sweep_in, std::uint32_t layers_in, bool identities_in)
    : sweep(sweep_in), layers(layers_in), identities(identities_in), models_(sweep_in.at("stages").size()) {}

void Builder::begin_stage(std::size_t stage) {
  stage_ = stage;
  reused_ = 0;
  excludes_.begin(this->stage());
  out_.plan.stages[stage].first = static_cast<JobIndex>(out_.plan.jobs.size());
}

void Builder::end_stage() {
  Stage& done = out_.plan.stages[stage_];
  done.count = static_cast<JobIndex>(out_.plan.jobs.size()) - done.first;
  if (reused_ > 0) {
    note("stage '" + done.name + "': " + std::to_string(reused_) + " of its " + std::to_string(models_[stage_].size()) +
         " jobs are jobs of an earlier stage and are made once");
  }
  if (done.stop) note_stopping(*this, done);
}

void Builder::expect(std::size_t jobs) {
  const std::size_t all = std::min(out_.plan.jobs.size() + jobs, kMaxJobs);
  out_.plan.jobs.reserve(all);
  models_[stage_].reserve(std::min(jobs, kMaxJobs));
  if (identities) by_id_.reserve(all);
}

bool Builder::add(Job job, std::uint32_t setting) {
  job.stage = static_cast<std::uint32_t>(stage_);
  if (identities) {
    job.settings.canonical(hashed_);
    job.id = JobId::of(hashed_);
    const auto [known, is_new] = by_id_.try_emplace(job.id, static_cast<JobIndex>(out_.plan.jobs.size()));
    if (!is_new) {
      ++reused_;
      models_[stage_].push_back({known->second, setting});
      return true;
    }
  }
  if (out_.plan.jobs.size() >= kMaxJobs) {
    problem("more than 100000 jobs");
    return false;
  }
  const auto index = static_cast<JobIndex>(out_.plan.jobs.size());
  models_[stage_].push_back({index, setting});
  if (job.search != kNoSearch) out_.plan.searches[job.search].trials[job.trial].push_back(index);
  out_.plan.jobs.push_back(std::move(job));
  return true;
}

void Builder::problem(std::string message, std::string key) {
  pass_on();
  for (const ExpandProblem& known : out_.problems) {
    if (known.stage == stage_ && known.message == message) return;
  }
  out_.problems.push_back({stage_, std::move(message), std::move(key)});
}

void Builder::check_depth(std::uint64_t n, const std::string& what) {
  if (layers > 0 && n >= layers) problem(beyond_model(what, n, layers));
}

std::string beyond_model(const std::string& what, std::uint64_t depth, std::uint32_t layers) {
  return what + " " + std::to_string(depth) + " is more than the model allows: it has " + std::to_string(layers) +
         " layers, so depths go up to " + std::to_string(layers - 1);
}

void Builder::check_drop(const json& drop) {
  const json& deepest = drop.contains("hi") ? drop.at("hi") : drop.at("n");
  if (!deepest.is_null()) check_depth(deepest.get<std::uint64_t>(), "drop depth");
}

const json& Builder::task(const std::string& name) const {
  for (const json& one : sweep.at("tasks")) {
    if (one.at("name") == name) return one;
  }
  return sweep.at("tasks").at(0);  // parse() has checked every name
}

json Builder::common() const {
  json out = sweep.at("common");
  const json& kind = stage().at("kind");
  out["kind"] = kind;
  // Its model is another one only in what stays beside the best epoch; a job of one has the id that it always had.
  const json& best = sweep.at("checkpoint").at("keep").at("best");
  if (best > 1 && (kind == "adapter" || kind == "fusion" || kind == "finetune")) out["keep_best"] = best;
  return out;
}

std::optional<json> Builder::column(JobIndex index, const std::string& name) const {
  if (name == "recipe" || name == "precision") return sweep.at("common").at(name);
  const Job& one = job(index);
  return column_of(one, stage_name(one.stage), name);
}

json Builder::asked(const Need& need) const {
  if (need.elsewhere.empty() && need.contenders.size() == 1 && need.contenders.front().jobs.size() == 1)
    return {{"name", need.name}, {"job", job(need.contenders.front().jobs.front()).id}};
  json contenders = json::array();
  for (const Contender& contender : need.contenders) {
    json ids = json::array();
    for (const JobIndex one : contender.jobs) ids.push_back(job(one).id);
    contenders.push_back(std::move(ids));
  }
  json out = {{"name", need.name},
              {"contenders", contenders},
              {"rank", need.rank},
              {"seed", need.best_seed ? json("best") : json(need.seed_place)},
              {"stopped", need.accept_stopped}};
  if (need.stat != Stat::mean) out["stat"] = name_of(need.stat);
  if (need.elsewhere.empty()) return out;
  // By the seed itself: its place among those of another sweep is not known.
  if (!need.best_seed) out["seed"] = need.seed;
  for (const auto& one : need.elsewhere) {
    json asked = {{"sweep", one->sweep}, {"stage", one->stage}, {"where", one->where}};
    if (!one->drop.empty()) asked["drop"] = one->drop;
    if (one->seed) asked["per_seed"] = true;
    out["elsewhere"].push_back(std::move(asked));
  }
  return out;
}

std::string group_of(const Job& job, const std::string& stage, const json& per) {
  std::string out = stage;
  for (const json& column : per) {
    const auto value = column_of(job, stage, column.get<std::string>());
    out += "/" + (!value               ? ""
                  : value->is_string() ? value->get<std::string>()
                                       : column.get<std::string>() + value->dump());
  }
  return out;
}

bool Builder::is_excluded(const Job& job) {
  return excludes_.meets([&](const std::string& column) { return column_of(job, "", column); });
}

bool is_excluded(const Job& job, const json& excludes) {
  return std::any_of(excludes.begin(), excludes.end(), [&](const json& conditions) {
    return meets(conditions, [&](const std::string& column) { return column_of(job, "", column); });
  });
}

std::string drop_label(const json& drop) {
  const auto two = [](const json& n) {
    const std::string text = n.dump();
    return text.size() < 2 ? "0" + text : text;
  };
  const auto& kind = drop.at("kind").get_ref<const std::string&>();
  if (kind == "specialized") return "specialized-" + two(drop.at("n"));
  // To the last layer of whatever model.
  if (kind == "robust" && drop.at("hi").is_null()) return "robust-all";
  if (kind == "robust") return "robust-" + two(drop.at("lo")) + "-" + two(drop.at("hi"));
  return kind;
}

std::uint32_t specialized_n(const std::string& label) {
  constexpr std::string_view kPrefix = "specialized-";
  if (label.rfind(kPrefix, 0) != 0) return 0;
  std::uint32_t n = 0;
  for (const char c : label.substr(kPrefix.size())) n = n * 10 + static_cast<std::uint32_t>(c - '0');
  return n;
}

namespace {

std::optional<json> drop_column(const std::string& label, const std::string& column) {
  const bool robust = label.rfind("robust-", 0) == 0;
  if (column == "n") return robust || label.empty() ? std::nullopt : std::optional<json>(specialized_n(label));
  if (!robust) return std::nullopt;
  if (label == "robust-all") return column == "lo" ? std::optional<json>(0) : std::nullopt;
  const std::size_t dash = label.find('-', 7);
  const std::string digits = column == "lo" ? label.substr(7, dash - 7) : label.substr(dash + 1);
  std::uint32_t value = 0;
  for (const char c : digits) value = value * 10 + static_cast<std::uint32_t>(c - '0');
  return json(value);
}

std::optional<json> text_or_nothing(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional<json>(text);
}

}  // namespace

std::optional<json> column_of(const Job& job, const std::string& stage, const std::string& column) {
  if (column == "task") return text_or_nothing(job.task);
  if (column == "drop") return text_or_nothing(job.drop);
  if (column == "set" || column == "members") return text_or_nothing(job.set);
  if (column == "seed") return json(job.seed);
  if (column == "stage") return json(stage);
  if (column == "kind") return json(name_of(job.kind));
  if (column == "kept") return job.keep == 0 ? std::nullopt : std::optional<json>(job.keep);
  if (column == "n" || column == "lo" || column == "hi") return drop_column(job.drop, column);
  if (column.rfind("param.", 0) == 0) {
    if (const json* found = job.parameters.find(std::string_view(column).substr(6))) return *found;
  }
  return std::nullopt;
}

}  // namespace fathom::sweeps
