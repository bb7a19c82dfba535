// From submit to the end of a sweep: dispatch, progress, dependencies and what an assignment carries.
#include <set>
#include <string>

#include <nlohmann/json.hpp>

#include "tests/unit/coordinator/core_rig.hpp"

namespace fathom::core::test {
namespace {

using sweeps::Kind;

// Two settings for each of two tasks, a fusion over the best ones, a prune of it, an evaluate of the prune.
sweeps::Plan dag() {
  Planner make;
  make.stage("adapter", Kind::adapter);
  const auto a1 = make.adapter("mr", 0.01), a2 = make.adapter("mr", 0.001);
  const auto b1 = make.adapter("sms", 0.01), b2 = make.adapter("sms", 0.001);
  make.stage("fusion", Kind::fusion);
  const auto fusion = make.taking("mr", {best_of("mr", {a1, a2}), best_of("sms", {b1, b2})});
  make.plan.jobs[fusion].set = "mr+sms";
  make.stage("prune", Kind::prune);
  const auto prune = make.taking("mr", {best_of("source", {fusion})});
  make.stage("evaluate", Kind::evaluate);
  make.taking("mr", {best_of("source", {prune})});
  return make.plan;
}

TEST(CoreFlow, OneJobFromSubmitToTheEndOfItsSweep) {
  Rig rig;
  Planner make;
  make.stage("adapter", Kind::adapter).adapter("mr");
  FakeWorker& worker = rig.worker("w");
  rig.submit(make.plan);
  const JobNumber job = rig.number(0);
  EXPECT_EQ(rig.phase(0), Phase::leased);
  ASSERT_TRUE(worker.holds(job));
  EXPECT_EQ(worker.held[job].fence, (Fence{job, 1, 1, LeaseId(1)}));
  EXPECT_EQ(worker.held[job].assign.job_id, "0000000000000000");
  EXPECT_EQ(worker.held[job].assign.device, "cpu:0");
  worker.started(job);
  EXPECT_EQ(rig.phase(0), Phase::running);
  worker.report(job, 1, 0.5);
  EXPECT_EQ(rig.job(0).progress->objective, 0.5);
  worker.finish(job, 0.75);
  EXPECT_EQ(rig.phase(0), Phase::succeeded);
  EXPECT_EQ(std::get<Succeeded>(rig.job(0).state).outcome->objective, 0.75);
  EXPECT_EQ(rig.sweep().outcome, "succeeded");
  EXPECT_TRUE(rig.state().open_sweeps.empty());
  EXPECT_TRUE(rig.state().leases.empty());
}

TEST(CoreFlow, JobsOfASweepStartInThePlansOrderAndFillTheSlots) {
  Rig rig;
  Planner make;
  make.stage("adapter", Kind::adapter);
  for (int i = 0; i < 4; ++i) make.adapter("t" + std::to_string(i));
  FakeWorker& worker = rig.worker("w", {1, 1});
  rig.submit(make.plan);
  EXPECT_EQ(worker.jobs(), (std::vector{rig.number(0), rig.number(1)}));
  worker.started(rig.number(1));
  worker.finish(rig.number(1), 0.5);
  EXPECT_EQ(worker.jobs(), (std::vector{rig.number(0), rig.number(2)}));
}

TEST(CoreFlow, ASubmitWithoutWorkersWaitsForOne) {
  Rig rig;
  Planner make;
  make.stage("adapter", Kind::adapter).adapter("mr");
  rig.submit(make.plan);
  EXPECT_EQ(rig.phase(0), Phase::ready);
  rig.worker("w");
  EXPECT_EQ(rig.phase(0), Phase::leased);
}

TEST(CoreFlow, ADependentTakesTheBestOfItsContenders) {
  Rig rig;
  FakeWorker& worker = rig.worker("w", {4});
  rig.submit(dag());
  const double objective[] = {0.6, 0.8, 0.9, 0.7};
  for (std::uint32_t i = 0; i < 4; ++i) {
    EXPECT_EQ(rig.phase(4), Phase::blocked);
    worker.started(rig.number(i));
    worker.finish(rig.number(i), objective[i]);
  }
  EXPECT_EQ(rig.phase(4), Phase::leased);
  EXPECT_EQ(rig.job(4).inputs, (std::vector{rig.number(1), rig.number(2)}));
  const SendAssign& assign = worker.held[rig.number(4)].assign;
  const auto inputs = nlohmann::json::parse(assign.inputs);
  EXPECT_EQ(inputs["members"][0]["name"], "mr");
  EXPECT_EQ(inputs["members"][0]["job"], "0000000000000001");
  EXPECT_EQ(inputs["members"][0]["folder"], "inputs/mr");
  EXPECT_EQ(inputs["members"][1]["job"], "0000000000000002");
  EXPECT_FALSE(inputs.contains("source"));
  ASSERT_EQ(assign.fetch.size(), 2u);
  EXPECT_EQ(assign.fetch[0].path, "mr/adapter.safetensors");
  EXPECT_EQ(assign.fetch[0].sha256, "sha-2");
  EXPECT_EQ(assign.fetch[1].path, "sms/adapter.safetensors");
  EXPECT_EQ(assign.fetch[1].sha256, "sha-3");
}

TEST(CoreFlow, ASourceComesWithItsSettingsAndMembers) {
  Rig rig;
  FakeWorker& worker = rig.worker("w", {4});
  rig.submit(dag());
  for (std::uint32_t i = 0; i < 6; ++i) {
    worker.started(rig.number(i));
    worker.finish(rig.number(i), 0.5);
  }
  // 5 is the prune of the fusion, 6 evaluates the prune: both know the fusion's members.
  const auto inputs = nlohmann::json::parse(worker.held[rig.number(6)].assign.inputs);
  EXPECT_EQ(inputs["source"]["job"], "0000000000000005");
  EXPECT_EQ(inputs["source"]["folder"], "inputs/source");
  EXPECT_EQ(inputs["source"]["settings"]["kind"], "prune");
  EXPECT_EQ(inputs["source"]["members"], (nlohmann::json{"mr", "sms"}));
  EXPECT_EQ(worker.held[rig.number(6)].assign.fetch[0].path, "source/adapter.safetensors");
  worker.started(rig.number(6));
  worker.finish(rig.number(6), 0.5);
  EXPECT_EQ(rig.sweep().outcome, "succeeded");
}

TEST(CoreFlow, FilesAreForgottenOnceNobodyCanTakeThem) {
  Rig rig;
  FakeWorker& worker = rig.worker("w", {4});
  rig.submit(dag());
  const auto files = [&](std::uint32_t i) { return std::get<Succeeded>(rig.job(i).state).outcome->files->size(); };
  for (std::uint32_t i = 0; i < 4; ++i) {
    worker.started(rig.number(i));
    worker.finish(rig.number(i), 0.5);
  }
  EXPECT_EQ(files(0), 2u);
  worker.started(rig.number(4));
  worker.finish(rig.number(4), 0.5);
  EXPECT_EQ(files(0), 0u);
  EXPECT_EQ(files(4), 2u);
  EXPECT_TRUE(std::get<Succeeded>(rig.job(0).state).outcome->has_files);
}

TEST(CoreFlow, WhatCannotBeMetIsSkippedDownToTheEnd) {
  Rig rig;
  FakeWorker& worker = rig.worker("w", {4});
  rig.submit(dag());
  for (std::uint32_t i = 0; i < 4; ++i) {
    worker.started(rig.number(i));
    if (i < 2) {
      worker.fail(rig.number(i), "config");
    } else {
      worker.finish(rig.number(i), 0.5);
    }
  }
  for (std::uint32_t i = 4; i < 7; ++i) EXPECT_EQ(rig.phase(i), Phase::skipped);
  EXPECT_NE(std::get<Skipped>(rig.job(4).state).why.str().find("mr"), std::string::npos);
  // The jobs that it would have taken are named, and what became of them.
  const std::string text = explain(rig.state(), rig.job(4));
  for (const std::uint32_t i : {0U, 1U})
    EXPECT_NE(text.find("lacks job " + rig.state().planned(rig.job(i)).id.text() + ": Failed (config)"),
              std::string::npos)
        << text;
  EXPECT_EQ(rig.sweep().outcome, "failed");
  EXPECT_EQ(rig.count(Phase::skipped), 3u);
}

TEST(CoreFlow, OnMissingFailMakesAFailedJobAndWaitLeavesItBlocked) {
  for (const auto policy : {sweeps::OnMissing::fail, sweeps::OnMissing::wait}) {
    Rig rig;
    Planner make;
    make.stage("adapter", Kind::adapter);
    auto need = best_of("source", {make.adapter("mr")});
    need.on_missing = policy;
    make.stage("evaluate", Kind::evaluate).taking("mr", {need});
    FakeWorker& worker = rig.worker("w");
    rig.submit(make.plan);
    worker.fail(rig.number(0), "config");
    if (policy == sweeps::OnMissing::fail) {
      EXPECT_EQ(std::get<Failed>(rig.job(1).state).error_class, "needs");
      EXPECT_EQ(rig.sweep().outcome, "failed");
      continue;
    }
    EXPECT_EQ(rig.phase(1), Phase::blocked);
    EXPECT_TRUE(rig.sweep().outcome.empty());
    EXPECT_NE(explain(rig.state(), rig.job(1)).find("on_missing: wait"), std::string::npos);
    rig.give(CancelJob{rig.number(1)});
    EXPECT_EQ(rig.sweep().outcome, "failed");
  }
}

TEST(CoreFlow, ASubmitIsRepeatedByItsKeyAndTellsAnotherSweepApart) {
  Rig rig;
  Planner make;
  make.stage("adapter", Kind::adapter).adapter("mr");
  SubmitSweep command;
  command.plan = std::make_shared<const sweeps::Plan>(make.plan);
  command.resolved = "{}";
  command.idempotency_key = "k";
  command.expander_version = sweeps::kExpanderVersion;
  rig.plans["{}"] = command.plan;
  const auto first = std::get<Submitted>(rig.give(command).answer);
  const Step again = rig.give(command);
  EXPECT_TRUE(again.events.empty());
  EXPECT_EQ(std::get<Submitted>(again.answer).id, first.id);
  EXPECT_TRUE(std::get<Submitted>(again.answer).repeated);
  command.resolved = "{\"other\": 1}";
  const Step other = rig.give(command);
  ASSERT_TRUE(other.rejection);
  EXPECT_EQ(other.rejection->code, Errc::already_exists);
}

TEST(CoreFlow, SweepsOfOneNameAreNumbered) {
  Rig rig;
  Planner make;
  make.stage("adapter", Kind::adapter).adapter("mr");
  for (int n = 1; n <= 40; ++n) {
    rig.submit(make.plan);
    EXPECT_EQ(rig.sweep().id, n == 1 ? "test" : "test-" + std::to_string(n));
  }
  make.plan.name = "test-64";  // somebody's own name, where the next ones are looked for
  rig.submit(make.plan);
  EXPECT_EQ(rig.sweep().id, "test-64");
  make.plan.name = "test";
  std::set<std::string> seen;
  for (int n = 0; n < 40; ++n) {
    rig.submit(make.plan);
    EXPECT_TRUE(seen.insert(rig.sweep().id).second);
  }
}

TEST(CoreFlow, NamesAreMadeUniqueAndChecked) {
  Rig rig;
  Planner make;
  make.stage("adapter", Kind::adapter).adapter("mr");
  rig.submit(make.plan);
  EXPECT_EQ(rig.sweep().id, "test");
  rig.submit(make.plan);
  EXPECT_EQ(rig.sweep().id, "test-2");
  EXPECT_EQ(rig.state().find_sweep("test-2"), &rig.sweep());
  EXPECT_EQ(rig.state().find_job(rig.sweep(), "0000000000000000"), &rig.job(0));
  EXPECT_EQ(rig.state().find_job(rig.sweep(), "f"), nullptr);
  for (const char* name : {"../up", "-x", "a b", ""}) {
    SubmitSweep bad;
    sweeps::Plan plan = make.plan;
    plan.name = name;
    bad.plan = std::make_shared<const sweeps::Plan>(plan);
    bad.expander_version = sweeps::kExpanderVersion;
    const Step step = rig.give(bad);
    ASSERT_TRUE(step.rejection) << name;
    EXPECT_EQ(step.rejection->code, Errc::invalid_argument);
  }
}

TEST(CoreFlow, AnEmptyPlanAndAnotherExpanderAreRefused) {
  Rig rig;
  SubmitSweep command;
  sweeps::Plan empty;
  empty.name = "empty";
  command.plan = std::make_shared<const sweeps::Plan>(empty);
  command.expander_version = sweeps::kExpanderVersion;
  EXPECT_EQ(rig.give(command).rejection->code, Errc::invalid_argument);
  command.expander_version = 99;
  EXPECT_EQ(rig.give(command).rejection->code, Errc::unsupported);
  command.plan = nullptr;
  command.expander_version = sweeps::kExpanderVersion;
  command.resolved = "no json";
  EXPECT_EQ(rig.give(command).rejection->code, Errc::invalid_argument);
}

}  // namespace
}  // namespace fathom::core::test
