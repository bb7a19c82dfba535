#include "sweeps/search/stopper.hpp"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

#include "sweeps/search/rungs.hpp"
#include "sweeps/search/verdicts.hpp"

namespace fathom::sweeps {

using nlohmann::json;

Stopper::Stopper(StopRule rule, Goal goal) : rule_(std::move(rule)), goal_(goal) {
  if (halving()) {
    const auto all = rule_.rungs > 0 ? rungs_down(rule_.rungs, rule_.max, rule_.eta)
                                     : geometric_rungs(rule_.min, rule_.max, rule_.eta);
    const std::size_t asked = rule_.method == "hyperband" ? all.size() : std::max(rule_.brackets, 1U);
    for (std::size_t first = 0; first < std::min(asked, all.size()); ++first)
      rungs_.emplace_back(all.begin() + static_cast<std::ptrdiff_t>(first), all.end());
  } else {
    // Every epoch counts toward means and best values; which ones are judged, goes_on() says. Of steps only those count
    // that jobs are measured at for it.
    std::vector<std::uint32_t> each;
    // Populations change at theirs.
    const bool spaced = rule_.by_step || clones();
    const std::uint32_t every = spaced ? std::max(rule_.every, 1U) : 1;
    for (std::uint64_t at = spaced ? rule_.min : 1; at < rule_.max; at += every)
      each.push_back(static_cast<std::uint32_t>(at));
    each.push_back(rule_.max);
    rungs_.push_back(std::move(each));
  }
  for (const auto& rungs : rungs_) values_.emplace_back(rungs.size());
}

void Stopper::admit(const std::vector<JobIndex>& settings) {
  std::vector<std::uint32_t> lengths;
  for (const auto& rungs : rungs_) lengths.push_back(static_cast<std::uint32_t>(rungs.size()));
  const auto brackets = spread(split_settings(static_cast<std::uint32_t>(settings.size()), rule_.eta, lengths));
  for (std::size_t i = 0; i < settings.size(); ++i) tracks_[settings[i]].bracket = brackets[i];
  admitted_ = settings;
}

const Stopper::Track& Stopper::track(JobIndex setting) const {
  static const Track kNew;
  const auto found = tracks_.find(setting);
  return found == tracks_.end() ? kNew : found->second;
}

const std::vector<std::uint32_t>& Stopper::rungs(JobIndex setting) const { return rungs_[track(setting).bracket]; }

bool Stopper::in_top(const Track& own, std::uint32_t rung, double value) const {
  return among_best(values_[own.bracket][rung], value, goal_, rule_.eta, rule_.ties_continue);
}

// …of an entry that is there already: others came before it and after it.
bool Stopper::in_top_of_all(std::size_t place) const {
  const Entry& entry = entries_[place];
  const std::uint32_t bracket = track(entry.job).bracket;
  const auto& there = values_[bracket][entry.rung];
  std::size_t ahead = count_better(there, entry.value, goal_);
  for (std::size_t i = 0; i < place && !rule_.ties_continue; ++i) {
    const Entry& other = entries_[i];
    const bool equal = other.rung == entry.rung && other.value == entry.value;
    ahead += equal && track(other.job).bracket == bracket ? 1 : 0;
  }
  return ahead < std::max<std::size_t>(1, there.size() / std::max(rule_.eta, 1U));
}

double Stopper::average(const Track& track, std::uint32_t rung) const {
  const std::size_t last = std::min<std::size_t>(rung, track.values.size() - 1);
  if (rule_.window == 0 || rule_.window > last) return track.sums[last] / static_cast<double>(last + 1);
  return (track.sums[last] - track.sums[last - rule_.window]) / rule_.window;
}

// Vizier (Golovin et al., KDD 2017, section 3.2.2): the best value so far is not strictly worse than the median of the
// others' running averages up to this rung. Others: completed ones, or with among_all those that came as far.
bool Stopper::beats_median(JobIndex setting, const Track& own, std::uint32_t rung, double value) const {
  std::vector<double> averages;
  for (const auto& [other, track] : tracks_) {
    if (other == setting || track.withdrawn || track.values.empty()) continue;
    if (track.completed || (rule_.among_all && track.values.size() > rung)) averages.push_back(average(track, rung));
  }
  if (averages.empty() || averages.size() < rule_.startup) return true;
  const double best = own.values.empty() || better(goal_, value, own.best) ? value : own.best;
  return !better(goal_, median(std::move(averages)), best);
}

// Optuna's percentile rule: the best value so far is within the best `percentile` percent of the values that others had
// at this rung.
bool Stopper::beats_percentile(JobIndex setting, const Track& own, std::uint32_t rung, double value) const {
  std::vector<double> there;
  for (const auto& [other, track] : tracks_) {
    if (other == setting || track.withdrawn || track.values.size() <= rung) continue;
    if (track.completed || rule_.among_all) there.push_back(track.values[rung]);
  }
  if (there.empty() || there.size() < rule_.startup) return true;
  const double best = own.values.empty() || better(goal_, value, own.best) ? value : own.best;
  const double from_bottom = goal_ == Goal::maximize ? 100 - rule_.percentile : rule_.percentile;
  return !better(goal_, percentile(std::move(there), from_bottom), best);
}

bool Stopper::goes_on(JobIndex setting, std::uint32_t rung, double value) const {
  const Track& own = track(setting);
  const auto& epochs = rungs_[own.bracket];
  if (rung + 1 >= epochs.size()) return true;  // at full budget there is nothing left to save
  if (halving()) return in_top(own, rung, value);
  const std::uint32_t epoch = epochs[rung];
  if (epoch < rule_.min || (epoch - rule_.min) % std::max(rule_.every, 1U) != 0) return true;
  if (rule_.method == "median") return beats_median(setting, own, rung, value);
  if (rule_.method == "percentile") return beats_percentile(setting, own, rung, value);
  if (rule_.method == "threshold") {
    return !(rule_.lower && value < *rule_.lower) && !(rule_.upper && value > *rule_.upper);
  }
  std::vector<double> values = own.values;
  values.push_back(value);
  return without_progress(values, goal_, rule_.min_delta) < std::max(rule_.patience, 1U);
}

Stopper::Entry Stopper::judge(JobIndex setting, std::uint32_t rung, double value) const {
  const Track& own = track(setting);
  Entry entry{setting, rung, value, true, false};
  const bool last = rung + 1 >= rungs_[own.bracket].size();
  if (clones()) {
    entry.held = !last && falls_behind(entry);
  } else if (pauses()) {
    entry.held = !last;
  } else if (halving() && !last && values_[own.bracket][rung].size() + 1 < rule_.bootstrap) {
    entry.held = true;
  } else {
    entry.keep_going = goes_on(setting, rung, value);
  }
  return entry;
}

std::vector<Stopper::Entry> Stopper::overdue() const {
  if (clones()) return {};
  if (pauses()) return rule_.promote ? promotions() : halved();
  std::vector<Entry> out;
  if (rule_.bootstrap == 0) return out;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const Entry& entry = entries_[i];
    if (!entry.held) continue;
    const Track& own = track(entry.job);
    if (values_[own.bracket][entry.rung].size() < rule_.bootstrap) continue;
    Entry given = entry;
    given.held = false;
    // What was stopped at a later rung meanwhile, or has ended, keeps that.
    given.keep_going = own.stopped || own.completed || in_top_of_all(i);
    out.push_back(given);
  }
  return out;
}

void Stopper::restore(const Entry& entry) {
  Track& own = tracks_[entry.job];
  if (entry.rung >= rungs_[own.bracket].size()) return;
  if (entry.rung < own.values.size()) {  // the verdict of one that was held
    const auto held = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& known) {
      return known.job == entry.job && known.rung == entry.rung;
    });
    if (held != entries_.end()) *held = entry;
  } else {
    entries_.push_back(entry);
    auto& there = values_[own.bracket][entry.rung];
    there.insert(std::upper_bound(there.begin(), there.end(), entry.value), entry.value);
    if (own.values.empty() || better(goal_, entry.value, own.best)) own.best = entry.value;
    own.sums.push_back((own.sums.empty() ? 0 : own.sums.back()) + entry.value);
    own.values.push_back(entry.value);
    own.completed = own.completed || entry.rung + 1 == rungs_[own.bracket].size();
  }
  own.waiting = entry.held && pauses();
  own.stopped = own.stopped || !entry.keep_going;
}

void Stopper::complete(JobIndex setting) {
  tracks_[setting].completed = true;
  completed_.push_back(setting);
}

void Stopper::withdraw(JobIndex setting) { tracks_[setting].withdrawn = true; }

void Stopper::readmit(JobIndex setting) { tracks_[setting].withdrawn = false; }

std::vector<Stopper::Entry> Stopper::report(JobIndex setting, std::uint32_t epoch, double value) {
  std::vector<Entry> news;
  if (!std::isfinite(value)) return news;
  while (!track(setting).stopped && !track(setting).waiting) {
    const auto rung = static_cast<std::uint32_t>(track(setting).values.size());
    if (rung >= rungs(setting).size() || rungs(setting)[rung] > epoch) break;
    news.push_back(judge(setting, rung, value));
    restore(news.back());
    for (auto due = overdue(); !due.empty(); due = overdue()) {
      for (const Entry& given : due) restore(given);
      news.insert(news.end(), due.begin(), due.end());
    }
  }
  return news;
}

json Stopper::snapshot() const {
  json entries = json::array();
  for (const Entry& entry : entries_)
    entries.push_back({entry.job, entry.rung, entry.value, entry.keep_going, entry.held});
  json withdrawn = json::array();
  for (const auto& [setting, track] : tracks_) {
    if (track.withdrawn) withdrawn.push_back(setting);
  }
  return {{"settings", admitted_}, {"entries", entries}, {"completed", completed_}, {"withdrawn", withdrawn}};
}

Stopper Stopper::from_snapshot(StopRule rule, Goal goal, const json& snapshot) {
  Stopper out(std::move(rule), goal);
  if (const auto settings = snapshot.at("settings").get<std::vector<JobIndex>>(); !settings.empty())
    out.admit(settings);
  for (const json& entry : snapshot.at("entries"))
    out.restore({entry.at(0), entry.at(1), entry.at(2), entry.at(3), entry.at(4)});
  for (const json& setting : snapshot.at("completed")) out.complete(setting);
  for (const json& setting : snapshot.at("withdrawn")) out.withdraw(setting);
  return out;
}

}  // namespace fathom::sweeps
