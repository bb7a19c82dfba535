// Seeded random histories: workers that crash, come back, lie, repeat and reorder; coordinators that are killed; people
// who cancel, pause and change their minds. After each step: invariants, and the state from the log's bytes equals the
// live one. At the end, with the faults gone, everything that can end does (I8). A failing seed is named and
// reproduces.
#include <random>

#include "tests/unit/coordinator/core_rig.hpp"

namespace fathom::core::test {
namespace {

using sweeps::Kind;

class History {
 public:
  explicit History(std::uint64_t seed) : random_(seed) {
    if (seed % 2 == 0) rig_.put_away();
    rig_.worker("w0", {2});
    rig_.worker("w1", {1, 1}, 2);
    rig_.worker("w2", {3});
  }
  void step();
  // No more faults: every worker is there and works its jobs off.
  void heal();
  Rig& rig() { return rig_; }

 private:
  std::size_t pick(std::size_t count) { return std::uniform_int_distribution<std::size_t>(0, count - 1)(random_); }
  bool chance(int percent) { return pick(100) < static_cast<std::size_t>(percent); }
  double value() { return std::uniform_real_distribution<>(0, 1)(random_); }
  FakeWorker& any_worker() { return *rig_.workers.at("w" + std::to_string(pick(3))); }
  void submit();
  void work(FakeWorker& worker);
  void advance(FakeWorker& worker, JobNumber job);
  void change();
  void reopen();
  void disturb();
  void repeat();

  std::mt19937_64 random_;
  Rig rig_;
  std::vector<ItemReceived> sent_;
  std::map<Fence, std::uint32_t> epochs_;
  std::size_t submitted_ = 0;
};

void History::submit() {
  Planner make;
  make.plan.name = "s" + std::to_string(submitted_++);
  make.plan.priority = static_cast<std::uint32_t>(pick(3)) * 50;
  make.plan.retry.max = static_cast<std::uint32_t>(pick(3));
  make.plan.limits.concurrency = static_cast<std::uint32_t>(pick(3)) * 2;
  make.plan.limits.failed = chance(20) ? 2 : 0;
  make.plan.limits.job_wall_seconds = chance(20) ? 30 : 0;
  make.plan.limits.wall_seconds = chance(10) ? 200 : 0;
  make.stage("adapter", Kind::adapter);
  if (chance(60)) make.stop(2, 1, 4);
  if (auto& stop = make.plan.stages.back().stop; stop && chance(60)) {
    chance(50) ? static_cast<void>(stop->promote = true) : static_cast<void>(stop->method = "halving");
  }
  const auto seeds = 1 + pick(2);
  std::vector<sweeps::JobIndex> first, second;
  for (std::size_t i = 0; i < 2 + pick(3); ++i) {
    for (std::size_t seed = 1; seed <= seeds; ++seed) {
      first.push_back(make.adapter("mr", 0.001 * static_cast<double>(i + 1), static_cast<std::int64_t>(seed)));
      second.push_back(make.adapter("sms", 0.001 * static_cast<double>(i + 1), static_cast<std::int64_t>(seed)));
    }
  }
  make.stage("fusion", Kind::fusion);
  auto need = best_of("mr", first);
  need.accept_stopped = chance(30);
  const auto fusion = make.taking("mr", {need, best_of("sms", second)});
  make.stage("evaluate", Kind::evaluate);
  for (const auto adapter : first) make.taking("mr", {best_of("source", {adapter})});
  auto last = best_of("source", {fusion});
  last.on_missing = chance(30) ? sweeps::OnMissing::fail : sweeps::OnMissing::skip;
  make.taking("mr", {last});
  if (chance(30)) {
    make.stage("benchmark", Kind::benchmark);
    for (std::size_t i = 0; i < 1 + pick(3); ++i)
      make.plan.jobs[make.taking("", {})].parameters.set("benchmark.device", "cpu");
  }
  // Equal ids in all sweeps: results are taken where model, data and inputs are the same.
  make.plan.cache.use = chance(60);
  for (sweeps::Job& job : make.plan.jobs)
    job.id = sweeps::JobId((job.id.value() & (~std::uint64_t{0} >> 4U)) | std::uint64_t{0xa} << 60U);
  rig_.submit(make.plan, chance(50) ? make.plan.name : "");
}

// One more item of a job that the worker holds.
void History::advance(FakeWorker& worker, JobNumber job) {
  const Hand hand = worker.held.at(job);
  std::uint32_t& epoch = epochs_[hand.fence];
  if (hand.sequence == 0) {
    worker.started(job);
  } else if (worker.stops.contains(job) && chance(70)) {
    worker.stops.erase(job);
    worker.stopped(job, value());
    return;
  } else if (epoch < 4) {
    ++epoch;
    worker.report(job, epoch, value());
    if (chance(60) && worker.holds(job)) worker.checkpoint(job, epoch, "c" + std::to_string(pick(40)), chance(50));
  } else {
    worker.finish(job, value());
    return;
  }
  if (worker.holds(job))
    sent_.push_back({worker.number, hand.fence, hand.sequence + 1, item::Report{epoch, 1, value()}});
}

void History::work(FakeWorker& worker) {
  if (!worker.connected || worker.held.empty()) return;
  const auto jobs = worker.jobs();
  const JobNumber job = jobs[pick(jobs.size())];
  if (!chance(8)) return advance(worker, job);
  static constexpr const char* kClasses[] = {"crash", "data", "oom", "config", "diverged", "lost", ""};
  const std::string error_class = kClasses[pick(std::size(kClasses))];
  worker.fail(job, error_class, worker.held.at(job).assign.alone);
}

// What was said before is said again, by its sender or by another.
void History::repeat() {
  if (sent_.empty()) return;
  ItemReceived again = sent_[pick(sent_.size())];
  if (chance(20)) again.worker = any_worker().number;
  if (chance(20)) again.sequence += pick(3);
  if (chance(10)) ++again.fence.attempt;
  // Its own worker does not contradict itself about what comes next; anybody else may try.
  const auto lease = rig_.state().leases.find(again.fence.lease);
  const Job* job = rig_.state().job(again.fence.job);
  const bool own = lease != rig_.state().leases.end() && lease->second.worker == again.worker;
  if (own && job != nullptr && again.sequence > job->sequence) return;
  rig_.give(again);
}

void History::change() {
  ChangeSweep change{SweepNumber(static_cast<std::uint32_t>(1 + pick(rig_.state().sweeps.size())))};
  if (chance(60)) change.paused = chance(50);
  if (chance(30)) change.priority = static_cast<std::uint32_t>(pick(3)) * 50;
  if (chance(30)) change.weight = static_cast<std::uint32_t>(1 + pick(4));
  if (chance(30)) change.concurrency = static_cast<std::uint32_t>(pick(4));
  if (chance(10)) change.wall_seconds = static_cast<std::int64_t>(pick(3)) * 100;
  if (chance(20)) change.job_wall_seconds = static_cast<std::int64_t>(pick(3)) * 20;
  if (chance(10)) change.failed = static_cast<std::uint32_t>(pick(4));
  rig_.give(change);
}

// A job is opened again as often as somebody wishes, but ends once in each generation and never with two results.
void History::reopen() {
  const State& state = rig_.state();
  const std::string key = chance(30) ? "k" + std::to_string(pick(3)) : "";
  if (chance(50)) {
    rig_.give(RetrySweep{SweepNumber(static_cast<std::uint32_t>(1 + pick(state.sweeps.size()))), key});
  } else {
    rig_.give(RerunJob{JobNumber(1 + pick(state.jobs())), key});
  }
}

void History::disturb() {
  FakeWorker& worker = any_worker();
  switch (pick(10)) {
    case 0:
      worker.connected ? worker.gone() : worker.join();
      break;
    case 1:  // killed: it comes back with nothing
      worker.held.clear();
      worker.gone();
      break;
    case 2:
      rig_.restart();
      break;
    case 3:
      rig_.tick(Millis(pick(20'000)));
      break;
    case 4:
      if (rig_.state().jobs() != 0) rig_.give(CancelJob{JobNumber(1 + pick(rig_.state().jobs()))});
      break;
    case 5:
      if (!rig_.state().sweeps.empty() && chance(20)) {
        rig_.give(CancelSweep{SweepNumber(static_cast<std::uint32_t>(1 + pick(rig_.state().sweeps.size())))});
      }
      break;
    case 6:
      if (worker.connected) worker.gone(true);
      break;
    case 7:
      if (!rig_.state().sweeps.empty()) change();
      break;
    case 8:
      if (!rig_.state().sweeps.empty()) reopen();
      break;
    default:
      repeat();
      break;
  }
}

void History::step() {
  if (submitted_ < 4 && chance(3)) submit();
  if (chance(4)) rig_.take_snapshot();
  for (const auto& [uid, worker] : rig_.workers) {
    if (worker->connected && chance(30)) worker->beat();
  }
  if (chance(15)) {
    disturb();
  } else if (chance(20)) {
    rig_.tick(Millis(pick(2'000)));
  } else {
    work(any_worker());
  }
}

void History::heal() {
  const auto sweeps = static_cast<std::uint32_t>(rig_.state().sweeps.size());
  for (std::uint32_t sweep = 1; sweep <= sweeps; ++sweep) rig_.give(ChangeSweep{SweepNumber(sweep), false});
  for (const auto& [uid, worker] : rig_.workers) {
    if (!worker->connected) worker->join();
  }
  for (int round = 0; round < 3000 && !rig_.state().open_sweeps.empty(); ++round) {
    for (const auto& [uid, worker] : rig_.workers) {
      worker->beat();
      // It handed a job back and shut down: its supervisor starts it again.
      if (rig_.state().worker(worker->number)->state != WorkerState::ready) worker->join();
      for (const JobNumber job : worker->jobs()) {
        if (worker->holds(job)) advance(*worker, job);
      }
    }
    rig_.tick(Millis(10'000));
  }
}

class CoreRandom : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(CoreRandom, InvariantsHoldAfterEveryStepAndEverythingEnds) {
  SCOPED_TRACE("seed " + std::to_string(GetParam()));
  History history(GetParam());
  for (int i = 0; i < 600 && !HasFailure(); ++i) history.step();
  history.heal();
  EXPECT_TRUE(history.rig().state().open_sweeps.empty());
  EXPECT_TRUE(history.rig().state().leases.empty());
  // I3: one terminal event for each attempt at most, and none after a terminal state; evolve() would have refused it.
  std::map<std::uint64_t, int> results;
  for (const std::string& bytes : history.rig().log) {
    event::Event event;
    ASSERT_TRUE(event.ParseFromString(bytes));
    if (event.has_job_finished()) ++results[event.job()];
  }
  for (const auto& [job, count] : results) EXPECT_EQ(count, 1) << "job " << job;
}

INSTANTIATE_TEST_SUITE_P(Seeds, CoreRandom, ::testing::Range<std::uint64_t>(1, 41));

}  // namespace
}  // namespace fathom::core::test
