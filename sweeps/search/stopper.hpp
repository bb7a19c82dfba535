// The stopping methods of one comparison group: values in, verdicts out (docs/sweeps.md "Early stopping"). A pure
// object: no clock, no randomness. The coordinator keeps one per group, stores every entry and verdict as events and
// rebuilds it from them; `fathom replay` and `fathom simulate` drive the same object.
//
// A setting is named by its first job. It has rungs in epochs or in optimizer steps; at each of them it enters once, in
// rising order, with one finite value, and gets one verdict. The last rung is the full budget: entered, never stopped
// at. Thread: a plain value.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "sweeps/plan.hpp"

namespace fathom::sweeps {

class Stopper {
 public:
  Stopper(StopRule rule, Goal goal);

  struct Entry {
    JobIndex job = 0;
    std::uint32_t rung = 0;  // index into rungs(job)
    double value = 0;
    bool keep_going = true;
    // The verdict waits; overdue() gives it. With `bootstrap` the setting runs on meanwhile, else it rests (pauses()).
    bool held = false;
    bool operator==(const Entry&) const = default;
  };

  // All settings of the group in file order, before anything is judged: spreads them over the brackets. Settings that
  // were not admitted are in the first bracket.
  void admit(const std::vector<JobIndex>& settings);

  [[nodiscard]] const std::vector<std::uint32_t>& rungs(JobIndex setting) const;
  // The verdict at the setting's next rung, `rung` = entries it has. Stores nothing.
  [[nodiscard]] Entry judge(JobIndex setting, std::uint32_t rung, double value) const;
  // Verdicts that were held and can be given now, in order of arrival. Stores nothing.
  [[nodiscard]] std::vector<Entry> overdue() const;

  // What judge() said, or what overdue() said of an entry that was held.
  void restore(const Entry& entry);
  // The setting Succeeded, maybe before its last rung (train.patience).
  void complete(JobIndex setting);

  // A seed of it Failed, Diverged or was cancelled: it enters no rung any more. Where it has entered it counts as the
  // worst for methods that pause, so that another one may go on in its place; median and percentile do not compare with
  // it; at rungs that do not pause its values stay. readmit(): it was opened again.
  void withdraw(JobIndex setting);
  void readmit(JobIndex setting);
  [[nodiscard]] bool withdrawn(JobIndex setting) const { return track(setting).withdrawn; }

  // asha with `promote`, halving: a setting rests at each rung but the last from its entry to its verdict. pbt: one
  // that is to be cloned does.
  [[nodiscard]] bool pauses() const { return rule_.promote || rule_.method == "halving" || clones(); }

  // pbt: settings are members of one population, and overdue() gives no verdict of them: one that rests goes on from a
  // donor, or as it was, by a verdict that is made outside (population.hpp).
  [[nodiscard]] bool clones() const { return rule_.method == "pbt"; }
  // Members whose newest values are among the best `quantile`, worst first: to be cloned as they are now.
  [[nodiscard]] std::vector<JobIndex> upper() const { return quantiles(nullptr).second; }
  // …those of them that are better than this member, by their newest values.
  [[nodiscard]] std::vector<JobIndex> donors(JobIndex member) const;
  // The value it entered last, of one that has entered.
  [[nodiscard]] double newest(JobIndex member) const { return track(member).values.back(); }

  // judge and restore for one report after `epoch` epochs (or steps): enters every rung with epoch >= rung that the
  // setting has not entered, with this value, until a verdict is stop or it rests; then gives the verdicts that were
  // held. Nothing enters with a value that is not finite, nor after a stop.
  std::vector<Entry> report(JobIndex setting, std::uint32_t epoch, double value);

  [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }  // in order of arrival
  [[nodiscard]] const StopRule& rule() const { return rule_; }

  // Everything that was given to it, and an equal object from that.
  [[nodiscard]] nlohmann::json snapshot() const;
  static Stopper from_snapshot(StopRule rule, Goal goal, const nlohmann::json& snapshot);

 private:
  struct Track {
    std::uint32_t bracket = 0;
    std::vector<double> values;  // by rung
    std::vector<double> sums;    // of values up to there
    double best = 0;
    bool stopped = false;
    bool completed = false;
    bool waiting = false;  // rests at the rung that it entered last
    bool withdrawn = false;
  };

  [[nodiscard]] const Track& track(JobIndex setting) const;
  [[nodiscard]] bool in_top(const Track& own, std::uint32_t rung, double value) const;
  [[nodiscard]] bool in_top_of_all(std::size_t place) const;
  [[nodiscard]] bool beats_median(JobIndex setting, const Track& own, std::uint32_t rung, double value) const;
  [[nodiscard]] bool beats_percentile(JobIndex setting, const Track& own, std::uint32_t rung, double value) const;
  [[nodiscard]] bool goes_on(JobIndex setting, std::uint32_t rung, double value) const;
  // The mean of the newest `window` values up to a rung.
  [[nodiscard]] double average(const Track& track, std::uint32_t rung) const;
  [[nodiscard]] bool halving() const {
    return rule_.method == "asha" || rule_.method == "hyperband" || rule_.method == "halving";
  }
  // population.cpp: the worst and the best of those that are compared, as they are or with one more value.
  [[nodiscard]] std::pair<std::vector<JobIndex>, std::vector<JobIndex>> quantiles(const Entry* news) const;
  [[nodiscard]] bool falls_behind(const Entry& entry) const;
  // pausing.cpp: the verdicts of methods that pause.
  [[nodiscard]] std::vector<const Entry*> ranked(std::uint32_t bracket, std::uint32_t rung) const;
  [[nodiscard]] bool to_come(std::uint32_t bracket, std::uint32_t rung) const;
  [[nodiscard]] std::vector<Entry> promotions() const;
  [[nodiscard]] std::vector<Entry> halved() const;

  StopRule rule_;
  Goal goal_;
  std::vector<std::vector<std::uint32_t>> rungs_;         // by bracket
  std::vector<std::vector<std::vector<double>>> values_;  // by bracket and rung, sorted
  std::vector<JobIndex> admitted_;
  std::vector<JobIndex> completed_;
  std::map<JobIndex, Track> tracks_;
  std::vector<Entry> entries_;
};

// "paused at rung 2 of 3 (epoch 3), waits for promotion": why a setting rests at a rung, by its index. For people.
std::string describe_rest(const Stopper& stopper, JobIndex setting, std::uint32_t rung);
// "epoch" or "step": what rungs count.
inline const char* unit_of(const StopRule& rule) { return rule.by_step ? "step" : "epoch"; }
// "asha, eta 3, rungs at epoch 1, 3 of 9": for people.
std::string describe(const StopRule& rule);

}  // namespace fathom::sweeps
