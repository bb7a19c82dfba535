#include "coordinator/simulate/simulation.hpp"

#include <algorithm>
#include <cmath>
#include <deque>
#include <map>
#include <queue>
#include <tuple>

#include "coordinator/core/core.hpp"
#include "sweeps/search/verdicts.hpp"
#include "sweeps/sweep.hpp"

namespace fathom::simulate {
namespace {

using nlohmann::json;

// Leases never end: nobody is lost here.
constexpr Millis kForEver{std::int64_t{1} << 50};
const std::string kHash(64, '0');  // of files that nobody opens

class Simulation {
 public:
  Simulation(std::shared_ptr<const sweeps::Plan> plan, const Curves& curves, std::uint32_t slots)
      : plan_(std::move(plan)), curves_(curves), slots_(slots), core_({kForEver, Millis{1'000}, Millis{300'000}}) {}

  Result<Run> run() {
    tell(core::Start{"simulation"});
    core::Device device;
    device.name = "cpu:0", device.kind = "cpu", device.slots = slots_;
    tell(core::WorkerHello{"simulated", "simulated", {device}, {}});
    core::SubmitSweep submit;
    submit.resolved = "{}";
    submit.idempotency_key = "simulation";
    submit.expander_version = sweeps::kExpanderVersion;
    submit.plan = plan_;
    out_.jobs.resize(plan_->jobs.size());
    tell(submit);
    while (!problem_ && !ended() && step()) {
    }
    if (problem_) return *problem_;
    if (!ended()) return Error{Errc::internal, "the simulated sweep came to a standstill"};
    return finished();
  }

 private:
  struct Epoch {
    double at = 0;
    std::uint64_t order = 0;  // of equal times: the earlier assignment first
    JobNumber job;
    std::uint64_t lease = 0;
    bool operator>(const Epoch& other) const { return std::tie(at, order) > std::tie(other.at, other.order); }
  };
  struct Hand {
    Fence fence;
    Curve curve;
    std::uint64_t sequence = 0;
    std::uint32_t epoch = 0;
    double since = 0;  // virtual seconds
  };

  [[nodiscard]] const core::Sweep& sweep() const { return core_.state().sweeps.front(); }
  [[nodiscard]] bool ended() const { return !core_.state().sweeps.empty() && !sweep().outcome.empty(); }
  [[nodiscard]] core::Now now() const {
    const auto ms = Millis(static_cast<std::int64_t>(std::llround(clock_ * 1000)));
    return {TimePoint{} + ms, WallTime{} + ms};
  }
  [[nodiscard]] sweeps::JobIndex index_of(JobNumber job) const {
    return static_cast<sweeps::JobIndex>(job.value() - sweep().first.value());
  }

  // With the parameters that were drawn for it.
  [[nodiscard]] const sweeps::Job& planned(JobNumber job) const {
    return core_.state().planned(*core_.state().job(job));
  }

  // One command, then everything that the worker has to do for it, at the same moment.
  void tell(const core::Command& command) {
    std::deque<core::Effect> effects;
    const auto give = [&](const core::Command& one) {
      core::Step step = core_.handle(one, now());
      if (step.rejection && !problem_) problem_ = *step.rejection;
      for (core::Effect& effect : step.effects) effects.push_back(std::move(effect));
    };
    give(command);
    while (!effects.empty() && !problem_) {
      const core::Effect effect = std::move(effects.front());
      effects.pop_front();
      if (const auto* assign = std::get_if<core::SendAssign>(&effect)) {
        take(*assign, give);
      } else if (const auto* stop = std::get_if<core::SendStop>(&effect)) {
        leave(stop->fence, give);
      }
    }
  }

  template <class Give>
  void take(const core::SendAssign& assign, const Give& give) {
    const sweeps::Job& job = planned(assign.fence.job);
    Curve curve;
    curve.epoch_seconds = 1;
    if (job.epochs > 0) {
      auto found = curves_.of(*plan_, job);
      if (!found) {
        problem_ = found.error();
        return;
      }
      curve = *std::move(found);
    }
    if (job.search != sweeps::kNoSearch) remember(job, curve, out_.jobs[index_of(assign.fence.job)]);
    Hand& hand = hands_[assign.fence.job];
    // One that was paused goes on where it was: epochs end in checkpoints.
    hand = {assign.fence, std::move(curve), 0, out_.jobs[index_of(assign.fence.job)].epochs, clock_};
    give(item(hand, core::item::Started{"cpu:0", "", "", hand.epoch}));
    schedule(hand);
  }

  void remember(const sweeps::Job& job, const Curve& curve, JobEnd& end) const {
    end.drawn = job.parameters;
    end.whole.reset();
    for (std::uint32_t epoch = 0; epoch < job.epochs; ++epoch) {
      const double value = curve.values[epoch];
      if (!std::isfinite(value)) return end.whole.reset();  // it would diverge
      if (!end.whole || sweeps::better(plan_->goal, value, *end.whole)) end.whole = value;
    }
  }

  template <class Give>
  void leave(const Fence& fence, const Give& give) {
    const auto found = hands_.find(fence.job);
    if (found == hands_.end()) return;  // it finished in this very moment
    Hand hand = std::move(found->second);
    put_down(hand);
    give(item(hand, core::item::Stopped{hand.epoch, hand.epoch, result_of(fence.job), files()}));
  }

  void put_down(const Hand& hand) {
    out_.jobs[index_of(hand.fence.job)].seconds += clock_ - hand.since;
    hands_.erase(hand.fence.job);
  }

  core::Command item(Hand& hand, core::Item what) const {
    return core::ItemReceived{core_.state().workers.front().number, hand.fence, ++hand.sequence, std::move(what)};
  }

  void schedule(const Hand& hand) {
    epochs_.push({clock_ + hand.curve.epoch_seconds, ++order_, hand.fence.job, hand.fence.lease.value()});
  }

  static std::vector<core::File> files() { return {{"model", kHash, 1}}; }
  [[nodiscard]] std::string result_of(JobNumber job) const {
    const auto& best = out_.jobs[index_of(job)].best;
    return json{{"objective", best ? json(*best) : json()}, {"epoch", 1}}.dump();
  }

  // The next moment at which something happens.
  bool step() {
    const auto deadline = core_.next_deadline();
    const double due = deadline ? std::chrono::duration<double>(deadline->time_since_epoch()).count() : HUGE_VAL;
    if (epochs_.empty() && !std::isfinite(due)) return false;
    if (epochs_.empty() || due < epochs_.top().at) {
      clock_ = std::max(clock_, due);
      if (clock_ > 1e12) return false;  // only the leases that never end are left
      tell(core::Tick{});
      return true;
    }
    const Epoch next = epochs_.top();
    epochs_.pop();
    const auto hand = hands_.find(next.job);
    if (hand == hands_.end() || hand->second.fence.lease.value() != next.lease) return true;  // stopped meanwhile
    clock_ = next.at;
    end_epoch(hand->second);
    return true;
  }

  void end_epoch(Hand& hand) {
    const JobNumber number = hand.fence.job;
    const sweeps::Job& job = planned(number);
    JobEnd& end = out_.jobs[index_of(number)];
    if (job.epochs == 0) return finish(number);
    const double value = hand.curve.values[hand.epoch];
    ++hand.epoch;
    end.epochs = hand.epoch;
    if (!std::isfinite(value)) {
      const core::Command diverged = item(hand, core::item::Report{hand.epoch, hand.epoch, value});
      put_down(Hand(hand));
      return tell(diverged);
    }
    const bool improved = !end.best || sweeps::better(plan_->goal, value, *end.best);
    if (improved)
      end.best = value, since_best_[number] = 0;
    else
      ++since_best_[number];
    tell(item(hand, core::item::Report{hand.epoch, hand.epoch, value}));
    const auto still = hands_.find(number);
    if (still == hands_.end()) return;  // stopped by this very report
    if (still->second.epoch >= job.epochs || patience_is_over(job, number)) return finish(number);
    schedule(still->second);
  }

  // train.patience is the trainer's own rule.
  [[nodiscard]] bool patience_is_over(const sweeps::Job& job, JobNumber number) const {
    const json train = job.settings.member("train");
    const json patience = train.is_object() ? train.value("patience", json()) : json();
    return patience.is_number() && since_best_.at(number) >= patience.get<std::uint32_t>();
  }

  void finish(JobNumber number) {
    Hand hand = std::move(hands_.at(number));
    put_down(hand);
    tell(item(hand, core::item::Finished{result_of(number), files()}));
  }

  Run finished() {
    out_.makespan = clock_;
    out_.outcome = sweep().outcome;
    for (sweeps::JobIndex i = 0; i < out_.jobs.size(); ++i)
      out_.jobs[i].state = core::name_of(core::phase_of(*core_.state().job(JobNumber(sweep().first.value() + i))));
    return std::move(out_);
  }

  std::shared_ptr<const sweeps::Plan> plan_;
  const Curves& curves_;
  std::uint32_t slots_;
  core::Core core_;
  double clock_ = 0;
  std::uint64_t order_ = 0;
  std::priority_queue<Epoch, std::vector<Epoch>, std::greater<>> epochs_;
  std::map<JobNumber, Hand> hands_;
  std::map<JobNumber, std::uint32_t> since_best_;
  std::optional<Error> problem_;
  Run out_;
};

}  // namespace

Result<Run> run(const std::shared_ptr<const sweeps::Plan>& plan, const Curves& curves, std::uint32_t slots) {
  return Simulation(plan, curves, slots).run();
}

}  // namespace fathom::simulate
