// Sweeps that extend others by epochs.
#include "sweeps/extend.hpp"
#include "tests/unit/coordinator/core_rig.hpp"

namespace fathom::core::test {
namespace {

using nlohmann::json;

// As submitted over REST: a file, and the sweep that it extends.
class CoreExtend : public ::testing::Test {
 protected:
  CoreExtend() : worker(rig.worker("w", {4})) {}

  static sweeps::Plan plan_of(int epochs, const std::string& more = "", const std::string& extends = "") {
    const std::string yaml =
        "version: 1\nname: t\nmodel: {path: models/m}\ntasks: {a: {path: data/a}}\nseeds: [1, 2]\ntrain: {epochs: " +
        std::to_string(epochs) + ", schedule: constant}\n" + (more.empty() ? "stages: {adapter: {}}\n" : more);
    auto parsed = sweeps::parse(yaml, {});
    EXPECT_TRUE(parsed.errors.empty()) << yaml;
    if (!extends.empty()) parsed.sweep.resolved["extends"] = extends;
    return *sweeps::expand(parsed.sweep);
  }
  // Trains all there is; each job leaves a checkpoint of its last epoch.
  void finish_all() {
    while (!worker.held.empty()) {
      const JobNumber job = worker.jobs().front();
      worker.started(job);
      if (!worker.holds(job)) continue;  // taken back: another job has its result
      const std::uint32_t epochs = rig.state().planned(*rig.state().job(job)).epochs;
      worker.report(job, epochs, 0.6);
      worker.checkpoint(job, epochs, "ckpt-" + std::to_string(job.value()));
      worker.finish(job, 0.6);
    }
  }
  std::string refusal(const sweeps::Plan& plan) {
    SubmitSweep command;
    command.plan = std::make_shared<const sweeps::Plan>(plan);
    command.resolved = R"({"refused": true})";
    command.expander_version = sweeps::kExpanderVersion;
    rig.plans[command.resolved] = command.plan;
    const Step step = rig.give(command);
    return step.rejection ? step.rejection->message : "";
  }

  Rig rig;
  FakeWorker& worker;
};

TEST_F(CoreExtend, JobsGoOnFromTheirLastCheckpoint) {
  rig.submit(plan_of(3));
  const JobNumber first = rig.number(0);
  finish_all();
  rig.submit(plan_of(5, "", "t"));
  ASSERT_EQ(worker.held.size(), 2u);
  const SendAssign& assign = worker.held.at(rig.number(0)).assign;
  ASSERT_TRUE(assign.resume);
  EXPECT_EQ(assign.resume->file.sha256, "ckpt-" + std::to_string(first.value()));
  EXPECT_EQ(assign.resume->epoch, 3u);
  EXPECT_EQ(rig.job(0).progress->best, 0.6);
  EXPECT_EQ(rig.logged(event::Event::kCheckpointTaken), 2u);
  rig.take_snapshot();
  rig.restart();
  worker.join(true);
  finish_all();
  EXPECT_EQ(rig.sweep().outcome, "succeeded");
  // Once more: from the longer of the two.
  rig.submit(plan_of(9, "", "t-2"));
  EXPECT_EQ(worker.held.at(rig.number(0)).assign.resume->epoch, 5u);
}

TEST_F(CoreExtend, WhatDidNotSucceedBeginsAnew) {
  rig.submit(plan_of(3));
  worker.fail(rig.number(1), "config");
  finish_all();
  rig.submit(plan_of(5, "", "t"));
  EXPECT_TRUE(worker.held.at(rig.number(0)).assign.resume);
  EXPECT_FALSE(worker.held.at(rig.number(1)).assign.resume);
}

TEST_F(CoreExtend, OneThatTookItsResultGoesOnFromWhereItWasMade) {
  rig.submit(plan_of(3));
  const JobNumber made = rig.number(0);
  finish_all();
  rig.submit(plan_of(3));
  finish_all();
  ASSERT_GT(rig.logged(event::Event::kJobReused), 0u);
  rig.submit(plan_of(5, "", "t-2"));
  EXPECT_EQ(worker.held.at(rig.number(0)).assign.resume->file.sha256, "ckpt-" + std::to_string(made.value()));
}

TEST_F(CoreExtend, IsRefusedWhereItWouldBeAnotherTraining) {
  rig.submit(plan_of(3));
  finish_all();
  EXPECT_NE(refusal(plan_of(5, "stages: {adapter: {train: {schedule: linear}}}\n", "t"))
                .find("stage 'adapter', task 'a': train.schedule linear runs over train.epochs"),
            std::string::npos);
  EXPECT_NE(refusal(plan_of(5, "stages: {adapter: {train: {warmup: 0.1}}}\n", "t")).find("train.warmup is a share"),
            std::string::npos);
  EXPECT_NE(refusal(plan_of(5, "stages: {adapter: {stop: {method: asha}}}\n", "t")).find("judged at rungs"),
            std::string::npos);
  EXPECT_NE(refusal(plan_of(3, "", "t")).find("train 3 epochs already"), std::string::npos);
  EXPECT_NE(refusal(plan_of(5, "", "nobody")).find("there is no sweep nobody to extend"), std::string::npos);
  EXPECT_EQ(refusal(plan_of(5, "stages: {adapter: {train: {warmup: 20}}}\n", "t")), "");
}

// Their members are other adapters, so they are trained anew in any case; and what keeps its epochs is the same job.
TEST_F(CoreExtend, FusionsAndWhatStaysAreNoObstacle) {
  const std::string stages =
      "stages:\n  adapter: {}\n  fixed: {kind: adapter, train: {epochs: 1, schedule: linear}}\n"
      "  fusion: {needs: {from: adapter}, sets: [[a]], train: {schedule: linear}}\n";
  rig.submit(plan_of(3, stages));
  finish_all();
  rig.submit(plan_of(5, stages, "t"));
  finish_all();
  EXPECT_EQ(rig.sweep().outcome, "succeeded");
  EXPECT_EQ(rig.logged(event::Event::kCheckpointTaken), 2u);
}

TEST_F(CoreExtend, IdWithEpochsIsThatOfTheShorterJob) {
  const auto three = plan_of(3), five = plan_of(5);
  EXPECT_EQ(sweeps::id_with_epochs(five.jobs[1], 3), three.jobs[1].id);
  EXPECT_NE(sweeps::id_with_epochs(five.jobs[1], 4), three.jobs[1].id);
}

}  // namespace
}  // namespace fathom::core::test
