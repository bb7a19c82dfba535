// Inputs from other sweeps: when they are chosen, what is done while they are not there, and what becomes of their
// files.
#include "coordinator/core/needs.hpp"
#include "tests/unit/coordinator/core_rig.hpp"

namespace fathom::core::test {
namespace {

using sweeps::Kind;
using sweeps::OnMissing;

class CoreElsewhere : public ::testing::Test {
 protected:
  CoreElsewhere() : worker(rig.worker("w", {4})) {}

  // Two settings of "a" with seeds 1 and 2, one of "b". The sweep's name is "test", made unique.
  static sweeps::Plan adapters() {
    Planner make;
    make.stage("adapter", Kind::adapter);
    for (const double lr : {0.1, 0.2}) make.adapter("a", lr, 1), make.adapter("a", lr, 2);
    make.adapter("b", 0.1, 1), make.adapter("b", 0.1, 2);
    return make.plan;
  }
  static sweeps::Need need(const std::string& member, OnMissing missing, const std::string& sweep = "test") {
    sweeps::Need need;
    need.name = member;
    need.on_missing = missing;
    need.seed = 2;
    need.elsewhere = {std::make_shared<const sweeps::Elsewhere>(
        sweeps::Elsewhere{sweep, "adapter", nlohmann::json::object(), member, "", {}})};
    return need;
  }
  // A fusion of "a" and "b" of another sweep.
  static sweeps::Plan fusion(OnMissing missing, const std::string& sweep = "test") {
    Planner make;
    make.stage("fusion", Kind::fusion);
    const auto job = make.taking("a", {need("a", missing, sweep), need("b", missing, sweep)});
    make.plan.jobs[job].set = "a+b";
    return make.plan;
  }
  void finish_all() {
    double value = 0.5;
    while (!worker.held.empty()) worker.finish(worker.jobs().front(), value += 0.01);
  }
  std::string why(sweeps::JobIndex index) const { return explain(rig.state(), rig.job(index)); }

  Rig rig;
  FakeWorker& worker;
};

TEST_F(CoreElsewhere, TakesTheFilesOfTheBestSettingsOwnSeed) {
  rig.submit(adapters());
  const JobNumber first = rig.number(0);
  finish_all();  // later jobs are better: the second setting of "a" wins
  rig.submit(fusion(OnMissing::skip));
  const JobNumber job = rig.number(0);
  ASSERT_TRUE(worker.holds(job));
  EXPECT_EQ(rig.job(0).inputs, (std::vector{JobNumber(first.value() + 3), JobNumber(first.value() + 5)}));
  // The state had let their files go: they came from the log.
  const SendAssign& assign = worker.held.at(job).assign;
  ASSERT_EQ(assign.fetch.size(), 2u);
  EXPECT_EQ(assign.fetch[0].path, "a/adapter.safetensors");
  EXPECT_EQ(assign.fetch[0].sha256, "sha-" + std::to_string(first.value() + 3));
  EXPECT_EQ(assign.fetch[1].sha256, "sha-" + std::to_string(first.value() + 5));
  EXPECT_EQ(rig.logged(event::Event::kNeedsBound), 1u);
  finish_all();
  EXPECT_EQ(rig.sweep().outcome, "succeeded");
  // And are let go again.
  EXPECT_TRUE(std::get<Succeeded>(rig.state().job(JobNumber(first.value() + 3))->state).outcome->files->empty());
}

TEST_F(CoreElsewhere, WhatIsNotThereIsSkippedFailedOrWaitedFor) {
  rig.submit(fusion(OnMissing::skip, "other"));
  EXPECT_EQ(rig.phase(0), Phase::skipped);
  EXPECT_NE(why(0).find("'a': there is no sweep other here"), std::string::npos) << why(0);
  rig.submit(fusion(OnMissing::fail, "nowhere"));
  EXPECT_EQ(rig.phase(0), Phase::failed);
  rig.submit(fusion(OnMissing::wait, "test-4"));
  EXPECT_EQ(rig.phase(0), Phase::blocked);
  EXPECT_NE(why(0).find("It needs the model \"a\": 'a': there is no sweep test-4 here. It waits"), std::string::npos);
  const JobNumber waits = rig.number(0);
  rig.submit(adapters());
  ASSERT_EQ(rig.sweep().id, "test-4");
  const auto text = explain(rig.state(), *rig.state().job(waits));
  EXPECT_NE(text.find("4 jobs of sweep:test-4/adapter have not ended, the last is"), std::string::npos) << text;
  finish_all();
  EXPECT_EQ(phase_of(*rig.state().job(waits)), Phase::succeeded);
}

TEST_F(CoreElsewhere, WhatHasNotFinishedIsMissingToo) {
  rig.submit(adapters());
  rig.submit(fusion(OnMissing::skip));
  EXPECT_EQ(rig.phase(0), Phase::skipped);
  // Once it has, a person may ask again: for the sweep, and for the job.
  const JobNumber job = rig.number(0);
  finish_all();
  const Step retried = rig.give(RetrySweep{rig.sweep().number, "key"});
  EXPECT_EQ(std::get<Reopened>(retried.answer).jobs, 1u);
  EXPECT_TRUE(worker.holds(job));
  finish_all();
  EXPECT_EQ(rig.sweep().outcome, "succeeded");
}

TEST_F(CoreElsewhere, ASettingThatFailedInOneSeedDoesNotCompete) {
  rig.submit(adapters());
  const JobNumber first = rig.number(0);
  worker.fail(rig.number(2), "config");
  finish_all();
  rig.submit(fusion(OnMissing::skip));
  EXPECT_EQ(rig.job(0).inputs.at(0), JobNumber(first.value() + 1));
}

TEST_F(CoreElsewhere, NobodySucceededThenARerunDoes) {
  rig.submit(adapters());
  const SweepNumber other = rig.sweep().number;
  const JobNumber b = rig.number(5);
  while (!worker.held.empty()) {
    const JobNumber job = worker.jobs().front();
    job == b ? worker.fail(job, "config") : worker.finish(job, 0.5);
  }
  rig.submit(fusion(OnMissing::wait));
  EXPECT_EQ(rig.phase(0), Phase::blocked);
  EXPECT_NE(why(0).find("0 Succeeded in every seed"), std::string::npos) << why(0);
  const JobNumber job = rig.number(0);
  rig.give(RetrySweep{other, "again"});
  ASSERT_TRUE(worker.holds(b));
  EXPECT_FALSE(worker.holds(job));
  worker.finish(b, 0.7);
  EXPECT_TRUE(worker.holds(job));
}

TEST_F(CoreElsewhere, OwnAndOtherSweepsCompete) {
  rig.submit(adapters());
  const JobNumber other = rig.number(0);
  finish_all();
  Planner make;
  make.stage("adapter", Kind::adapter);
  const auto own = make.adapter("a", 0.3, 2);
  make.stage("fusion", Kind::fusion);
  auto wanted = need("a", OnMissing::skip);
  wanted.contenders = {{{own}}};
  const auto job = make.taking("a", {wanted});
  make.plan.jobs[job].set = "a";
  for (const double value : {0.1, 0.9}) {
    rig.submit(make.plan);
    worker.finish(rig.number(own), value);
    ASSERT_TRUE(worker.holds(rig.number(job)));
    EXPECT_EQ(rig.job(job).inputs.at(0), value < 0.5 ? JobNumber(other.value() + 3) : rig.number(own));
    finish_all();
  }
}

TEST_F(CoreElsewhere, OtherGoalsDoNotCompete) {
  rig.submit(adapters());
  finish_all();
  Planner make;
  make.stage("adapter", Kind::adapter);
  const auto own = make.adapter("a", 0.3, 2);
  make.stage("fusion", Kind::fusion);
  auto wanted = need("a", OnMissing::skip);
  wanted.contenders = {{{own}}};
  wanted.goal = sweeps::Goal::minimize;
  make.taking("a", {wanted});
  rig.submit(make.plan);
  finish_all();
  EXPECT_NE(why(1).find("judged by different goals"), std::string::npos) << why(1);
}

TEST_F(CoreElsewhere, ASeedThatNobodyHasIsMissing) {
  rig.submit(adapters());
  finish_all();
  sweeps::Plan plan = fusion(OnMissing::skip);
  plan.jobs[0].needs[0].seed = 9;
  rig.submit(plan);
  EXPECT_NE(why(0).find("no adapter for 'a' of sweep:test/adapter has seed 9"), std::string::npos) << why(0);
}

TEST_F(CoreElsewhere, FilesThatCannotBeReadAreMissing) {
  rig.submit(adapters());
  finish_all();
  rig.lose_results = true;
  rig.submit(fusion(OnMissing::skip));
  EXPECT_EQ(rig.phase(0), Phase::skipped);
  EXPECT_NE(why(0).find("the files of the adapter that was chosen are not known"), std::string::npos) << why(0);
}

TEST_F(CoreElsewhere, ARestartGoesOnWhereItWas) {
  rig.submit(adapters());
  rig.submit(fusion(OnMissing::wait));
  const JobNumber waits = rig.number(0);
  for (const bool with_snapshot : {true, false}) {
    if (with_snapshot) rig.take_snapshot();
    rig.restart();
    worker.join(true);
  }
  rig.reading = false;
  finish_all();
  ASSERT_TRUE(rig.state().pending.fetch.contains(waits));
  rig.take_snapshot();
  rig.reading = true;
  rig.restart();
  worker.join(true);
  EXPECT_TRUE(worker.holds(waits));
}

TEST_F(CoreElsewhere, ACancelEndsWhoWaits) {
  const SweepNumber sweep = rig.submit(fusion(OnMissing::wait));
  rig.give(CancelSweep{sweep});
  EXPECT_EQ(rig.sweep().outcome, "cancelled");
  EXPECT_TRUE(rig.state().outside.empty());
}

// Adapters in folders are a part of the data that a job works with: it binds apart from others of its task.
TEST_F(CoreElsewhere, FoldersBindApart) {
  Planner make;
  make.plan.cache.use = true;
  make.stage("fusion", Kind::fusion);
  make.taking("a", {}), make.taking("a", {});
  make.plan.jobs[0].folders = {{"a", "adapters/a"}};
  make.plan.jobs[0].id = sweeps::JobId(0xf000000000000000), make.plan.jobs[1].id = sweeps::JobId(0xf000000000000001);
  rig.submit(make.plan);
  worker.send(rig.number(0), item::Started{"cpu:0", "base", "data and folder", 0});
  worker.send(rig.number(1), item::Started{"cpu:0", "base", "data", 0});
  EXPECT_FALSE(rig.job(0).foreign);
  EXPECT_FALSE(rig.job(1).foreign);
  finish_all();
  const auto key = [&](sweeps::JobIndex index) { return std::get<Succeeded>(rig.job(index).state).mark->key; };
  const std::uint64_t before = key(0);
  EXPECT_NE(before, 0u);
  // The adapter in the folder changed: the result is another one.
  rig.submit(make.plan);
  for (const JobNumber job : worker.jobs())
    worker.send(job, item::Started{"cpu:0", "base", job == rig.number(0) ? "data and another" : "data", 0});
  finish_all();
  EXPECT_NE(key(0), before);
  EXPECT_EQ(rig.logged(event::Event::kJobReused), 1u);
}

}  // namespace
}  // namespace fathom::core::test
