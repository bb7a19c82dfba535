// Which job gets which slot, and what explain() says about those that get none.
#include "tests/unit/coordinator/core_rig.hpp"

namespace fathom::core::test {
namespace {

using sweeps::Kind;

sweeps::Plan of_tasks(const std::vector<std::string>& tasks, const std::string& name = "test",
                      std::uint32_t priority = 50) {
  Planner make;
  make.plan.name = name;
  make.plan.priority = priority;
  make.stage("adapter", Kind::adapter);
  for (const std::string& task : tasks) make.adapter(task);
  return make.plan;
}

TEST(CorePlacement, JobsSpreadOverEmptyDevicesFirst) {
  Rig rig;
  FakeWorker& worker = rig.worker("w", {2, 2});
  rig.submit(of_tasks({"a", "b"}));
  EXPECT_EQ(worker.held[rig.number(0)].assign.device, "cpu:0");
  // cpu:0 holds the model by then, which is worth less than being idle.
  EXPECT_EQ(worker.held[rig.number(1)].assign.device, "cpu:1");
}

TEST(CorePlacement, ADeviceThatHoldsTheTaskIsPreferredToOneThatHoldsTheModel) {
  Rig rig;
  FakeWorker& worker = rig.worker("w", {2, 2});
  rig.submit(of_tasks({"a", "b"}));
  EXPECT_EQ(worker.held[rig.number(1)].assign.device, "cpu:1");
  for (std::uint32_t i : {0U, 1U}) worker.finish(rig.number(i), 0.5);
  rig.submit(of_tasks({"b", "a"}));
  EXPECT_EQ(worker.held[rig.number(0)].assign.device, "cpu:1");
  EXPECT_EQ(worker.held[rig.number(1)].assign.device, "cpu:0");
}

TEST(CorePlacement, HigherPriorityGoesFirstAndEqualSweepsShare) {
  Rig rig;
  rig.submit(of_tasks({"a", "a", "a", "a"}, "low", 10));
  const SweepNumber low = rig.sweep().number;
  rig.submit(of_tasks({"a"}, "high", 90));
  const SweepNumber high = rig.sweep().number;
  rig.submit(of_tasks({"a", "a", "a", "a"}, "peer", 10));
  const SweepNumber peer = rig.sweep().number;
  rig.worker("w", {5});
  EXPECT_EQ(rig.state().sweep(high)->active.size(), 1u);
  EXPECT_EQ(rig.state().sweep(low)->active.size(), 2u);
  EXPECT_EQ(rig.state().sweep(peer)->active.size(), 2u);
}

TEST(CorePlacement, ConcurrencyLimitsTheJobsOfOneSweepOnly) {
  Rig rig;
  sweeps::Plan plan = of_tasks({"a", "a", "a"});
  plan.limits.concurrency = 1;
  FakeWorker& worker = rig.worker("w", {4});
  rig.submit(plan);
  EXPECT_EQ(worker.held.size(), 1u);
  EXPECT_NE(explain(rig.state(), rig.job(1)).find("limits.concurrency"), std::string::npos);
  rig.submit(of_tasks({"a", "a"}, "other"));
  EXPECT_EQ(worker.held.size(), 3u);
}

TEST(CorePlacement, ABenchmarkHasItsDeviceToItself) {
  Rig rig;
  Planner make;
  make.stage("benchmark", Kind::benchmark);
  make.taking("a", {}), make.taking("a", {});
  FakeWorker& worker = rig.worker("w", {3});
  rig.submit(make.plan);
  EXPECT_EQ(worker.held.size(), 1u);
  EXPECT_TRUE(worker.held.begin()->second.assign.alone);
}

TEST(CorePlacement, ExplainSaysWhyAJobWaits) {
  Rig rig;
  Planner make;
  make.stage("adapter", Kind::adapter);
  const auto a = make.adapter("mr"), b = make.adapter("mr");
  make.stage("fusion", Kind::fusion).taking("mr", {best_of("mr", {a, b})});
  rig.submit(make.plan);
  EXPECT_NE(explain(rig.state(), rig.job(0)).find("No worker has joined"), std::string::npos);
  EXPECT_NE(explain(rig.state(), rig.job(2)).find("2 jobs it is chosen from have not ended"), std::string::npos);
  FakeWorker& worker = rig.worker("w");
  EXPECT_NE(explain(rig.state(), rig.job(0)).find("cpu:0 of worker w"), std::string::npos);
  EXPECT_NE(explain(rig.state(), rig.job(1)).find("All 1 slot are taken"), std::string::npos);
  worker.started(rig.number(0));
  EXPECT_NE(explain(rig.state(), rig.job(0)).find("Running"), std::string::npos);
  worker.fail(rig.number(0), "data");
  EXPECT_NE(explain(rig.state(), rig.job(0)).find("it broke"), std::string::npos);
  worker.gone();
  rig.tick(Millis(400'000));
  EXPECT_NE(explain(rig.state(), rig.job(0)).find("No worker is connected"), std::string::npos);
}

}  // namespace
}  // namespace fathom::core::test
