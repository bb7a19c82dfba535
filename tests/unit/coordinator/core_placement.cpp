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

sweeps::Plan of_gangs(const std::vector<std::string>& tasks, std::uint32_t ranks) {
  sweeps::Plan plan = of_tasks(tasks, "gang");
  plan.ranks = ranks;
  return plan;
}

// Benchmarks of the classes of devices, one stage.
sweeps::Plan of_benchmarks(const std::vector<std::string>& kinds, const std::string& name = "speed") {
  Planner make;
  make.plan.name = name;
  make.stage("benchmark", Kind::benchmark);
  for (const std::string& kind : kinds) {
    const sweeps::JobIndex job = make.taking("", {});
    make.plan.jobs[job].parameters.set("benchmark.device", kind);
  }
  return make.plan;
}

TEST(CorePlacement, ABenchmarkOfTheCpuHasItsHostToItself) {
  Rig rig;
  FakeWorker& worker = rig.worker("w", {2, 2});
  worker.devices[1].threads = 3;
  worker.devices.push_back({"cuda:0", "cuda", 1, 1, "test", 1 << 30});
  worker.join();
  rig.submit(of_tasks({"a", "a", "a", "a", "a", "a"}, "others"));
  std::vector<JobNumber> others = worker.jobs();
  ASSERT_EQ(others.size(), 5u);
  rig.submit(of_benchmarks({"cpu", "cpu"}));
  const JobNumber first = rig.number(0), second = rig.number(1);
  // What runs ends; meanwhile nothing else begins on any device of the worker, the GPU included.
  while (!others.empty()) {
    EXPECT_FALSE(worker.holds(first));
    EXPECT_NE(explain(rig.state(), rig.job(0)).find("all devices of worker w"), std::string::npos);
    worker.finish(others.back(), 0.5);
    others.pop_back();
    EXPECT_EQ(worker.held.size(), others.size() + (others.empty() ? 1 : 0));
  }
  ASSERT_TRUE(worker.holds(first));
  EXPECT_EQ(worker.held[first].assign.device, "cpu:1");  // it has most threads
  EXPECT_TRUE(worker.held[first].assign.alone);
  // The sixth of the other sweep waits for it, and says so.
  const Sweep& sweep = *rig.state().find_sweep("others");
  EXPECT_NE(
      explain(rig.state(), *rig.state().job(JobNumber(sweep.first.value() + 5))).find("alone on its device or host"),
      std::string::npos);
  worker.finish(first, 0.5);
  for (int turns = 0; turns < 3 && !worker.holds(second); ++turns) {
    for (const JobNumber job : worker.jobs()) worker.finish(job, 0.5);
  }
  EXPECT_TRUE(worker.holds(second));
  EXPECT_EQ(worker.held.size(), 1u);
}

// Not by next_grant() alone: a log that says so is refused, and a state that is so is seen.
TEST(CorePlacement, NobodySharesTheHostOfABenchmark) {
  Rig rig;
  FakeWorker& worker = rig.worker("w", {1, 1});
  rig.submit(of_benchmarks({"cpu"}));
  const JobNumber measures = rig.number(0);
  rig.submit(of_tasks({"a"}));
  const JobNumber waits = rig.number(0);
  ASSERT_TRUE(worker.holds(measures));
  State state = rig.state();
  event::Event event;
  event.set_seq(state.seq + 1);
  event.set_version(kEventVersion);
  auto* granted = event.mutable_lease_granted();
  granted->mutable_fence()->set_job(waits.value());
  granted->mutable_fence()->set_generation(1);
  granted->mutable_fence()->set_attempt(1);
  granted->mutable_fence()->set_lease(state.next_lease);
  granted->set_worker(1);
  granted->set_device("cpu:1");
  const Status refused = evolve(state, event);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("shares the host"), std::string::npos) << refused.error().message;
  State broken = rig.state();
  broken.leases.begin()->second.alone = false;
  EXPECT_FALSE(invariants(broken).empty());
}

TEST(CorePlacement, ABenchmarkOfAGpuHasItsDeviceToItself) {
  Rig rig;
  FakeWorker& worker = rig.worker("w", {2});
  worker.devices.push_back({"cuda:0", "cuda", 1, 2, "test", 1 << 30});
  worker.join();
  rig.submit(of_benchmarks({"cuda", "cuda"}));
  ASSERT_TRUE(worker.holds(rig.number(0)));
  EXPECT_EQ(worker.held[rig.number(0)].assign.device, "cuda:0");
  EXPECT_NE(explain(rig.state(), rig.job(1)).find("one of class cuda of worker w"), std::string::npos);
  rig.submit(of_tasks({"a", "a", "a"}));
  EXPECT_EQ(worker.held.size(), 3u);  // two on the CPU beside it
}

TEST(CorePlacement, ABenchmarkWithoutItsClassOfDevicesHoldsUpNobody) {
  Rig rig;
  FakeWorker& worker = rig.worker("w", {1});
  rig.submit(of_benchmarks({"cuda", "cuda", "cpu"}));
  EXPECT_TRUE(worker.holds(rig.number(2)));
  EXPECT_NE(explain(rig.state(), rig.job(0)).find("no worker that is connected has a device of class cuda"),
            std::string::npos);
  worker.finish(rig.number(2), 0.5);
  rig.submit(of_tasks({"a"}));
  EXPECT_EQ(worker.held.size(), 1u);
}

TEST(CorePlacement, BenchmarksOfAStageAreMeasuredByOneWorker) {
  Rig rig;
  FakeWorker& v = rig.worker("v", {1});
  FakeWorker& w = rig.worker("w", {1});
  rig.submit(of_benchmarks({"cpu", "cpu", "cpu"}));
  ASSERT_TRUE(v.holds(rig.number(0)));
  EXPECT_TRUE(w.held.empty());  // it is idle, but its times would be those of another machine
  v.finish(rig.number(0), 0.5);
  ASSERT_TRUE(v.holds(rig.number(1)));
  v.gone(/*drained=*/true);
  for (int i = 0; i < 120 && !w.holds(rig.number(1)); ++i) rig.tick(Millis(1000));
  EXPECT_TRUE(w.holds(rig.number(1)));
}

TEST(CorePlacement, ABenchmarkOfTheCpuKeepsItsHostOverARestartAndARejoin) {
  Rig rig;
  FakeWorker& worker = rig.worker("w", {1, 2});
  rig.submit(of_benchmarks({"cpu"}));
  worker.started(rig.number(0));
  const JobNumber job = rig.number(0);
  rig.restart();
  worker.join();
  ASSERT_TRUE(worker.holds(job));
  rig.submit(of_tasks({"a", "b"}));
  EXPECT_EQ(worker.held.size(), 1u);
  rig.submit(of_gangs({"c"}, 2));
  EXPECT_NE(explain(rig.state(), rig.job(0)).find("2 devices of one kind"), std::string::npos);
  EXPECT_EQ(worker.held.size(), 1u);
  worker.finish(job, 0.5);
  EXPECT_GE(worker.held.size(), 1u);
}

sweeps::Plan in_bf16(sweeps::Plan plan) {
  plan.precision = sweeps::Precision::bf16;
  return plan;
}

TEST(CorePlacement, OnlyDevicesOfThePrecisionRunAJob) {
  Rig rig;
  FakeWorker& old = rig.worker("old", {2});
  rig.submit(in_bf16(of_tasks({"a", "b"})));
  EXPECT_TRUE(old.held.empty());
  EXPECT_NE(explain(rig.state(), rig.job(0)).find("precision: bf16"), std::string::npos);
  FakeWorker& fresh = rig.worker("new", {1, 1});
  EXPECT_TRUE(fresh.held.empty());
  for (auto& device : fresh.devices) device.bf16 = true;
  fresh.join(/*restarted=*/true);
  EXPECT_EQ(fresh.held.size(), 2u);
  EXPECT_TRUE(old.held.empty());
  // Sweeps behind it that ask for nothing special are not held up.
  rig.submit(in_bf16(of_tasks({"c"})));
  EXPECT_NE(explain(rig.state(), rig.job(0)).find("slots are taken"), std::string::npos);
  rig.submit(of_tasks({"d"}));
  EXPECT_EQ(old.held.size(), 1u);
}

TEST(CorePlacement, JobsOfTf32AreForGpus) {
  Rig rig;
  FakeWorker& worker = rig.worker("w", {2});
  for (auto& device : worker.devices) device.bf16 = true;
  worker.join(/*restarted=*/true);
  sweeps::Plan plan = of_tasks({"a", "b", "c"});
  plan.precision = sweeps::Precision::tf32;
  rig.submit(plan);
  EXPECT_TRUE(worker.held.empty());
  EXPECT_EQ(explain(rig.state(), rig.job(0))
                .find("precision: tf32: no worker that is connected has a device for it, "
                      "which is a GPU."),
            0u)
      << explain(rig.state(), rig.job(0));
  worker.devices.push_back({"cuda:0", "cuda", 1, 1, "test", 1 << 30});
  worker.join(/*restarted=*/true);
  ASSERT_EQ(worker.held.size(), 1u);
  EXPECT_EQ(rig.state().workers.front().devices[0].running, 0u);
  EXPECT_EQ(rig.state().workers.front().devices[1].running, 1u);
  EXPECT_NE(explain(rig.state(), rig.job(1)).find("All 1 slot"), std::string::npos) << explain(rig.state(), rig.job(1));
}

TEST(CorePlacement, GangsAndBenchmarksAskForThePrecision) {
  Rig rig;
  FakeWorker& worker = rig.worker("w", {1, 1});
  rig.submit(in_bf16(of_gangs({"a"}, 2)));
  rig.submit(in_bf16(of_benchmarks({"cpu"})));
  EXPECT_TRUE(worker.held.empty());
  EXPECT_NE(explain(rig.state(), rig.job(0)).find("precision: bf16"), std::string::npos);
  for (auto& device : worker.devices) device.bf16 = true;
  worker.join(/*restarted=*/true);
  EXPECT_EQ(worker.held.size(), 1u);
  // What the log says of a device is what a restart knows of it.
  rig.restart();
  EXPECT_TRUE(rig.state().workers.front().devices.front().device.bf16);
}

TEST(CorePlacement, AGangHasSeveralDevicesOfOneWorkerToItself) {
  Rig rig;
  FakeWorker& worker = rig.worker("w", {2, 2, 2});
  rig.submit(of_gangs({"a", "a"}, 2));
  ASSERT_EQ(worker.held.size(), 1u);  // the one device that is left is not enough for the second
  EXPECT_EQ(worker.held[rig.number(0)].assign.device, "cpu:0+cpu:1");
  EXPECT_NE(explain(rig.state(), rig.job(1)).find("2 devices of one kind"), std::string::npos);
  const JobNumber first = rig.number(0), second = rig.number(1);
  // Backfill: what comes later runs beside the gang that waits, on the device that is not enough for it.
  rig.submit(of_tasks({"b", "b", "b"}));
  std::vector<std::string> filled;
  for (std::uint32_t i : {0U, 1U, 2U}) {
    if (worker.holds(rig.number(i))) filled.push_back(worker.held[rig.number(i)].assign.device);
  }
  EXPECT_EQ(filled, (std::vector<std::string>{"cpu:2", "cpu:2"}));
  worker.finish(first, 0.5);
  EXPECT_TRUE(worker.holds(second));
}

TEST(CorePlacement, AGangGetsItsDevicesThoughOthersKeepThemBusy) {
  Rig rig;
  FakeWorker& worker = rig.worker("w", {1, 1});
  rig.submit(of_tasks({"a", "a", "a", "a"}));
  std::vector<JobNumber> singles;
  for (std::uint32_t i = 0; i < 4; ++i) singles.push_back(rig.number(i));
  rig.submit(of_gangs({"b"}, 2));
  const JobNumber gang = rig.number(0);
  worker.finish(singles[0], 0.5);
  worker.finish(singles[1], 0.5);
  // The second device was kept free meanwhile, or the gang would wait for ever.
  std::size_t finished = 2;
  while (!worker.holds(gang)) {
    ASSERT_LT(finished, singles.size());
    ASSERT_TRUE(worker.holds(singles[finished]));
    worker.finish(singles[finished++], 0.5);
  }
  EXPECT_EQ(worker.held[gang].assign.device, "cpu:0+cpu:1");
}

TEST(CorePlacement, AGangThatLosesItsWorkerGivesAllDevicesBack) {
  Rig rig;
  FakeWorker& worker = rig.worker("w", {1, 1});
  rig.submit(of_gangs({"a"}, 2));
  worker.started(rig.number(0));
  worker.gone();
  rig.tick(Millis(400'000));
  worker.held.clear();
  worker.join();
  for (int i = 0; i < 120 && !worker.holds(rig.number(0)); ++i) rig.tick(Millis(1000));
  ASSERT_TRUE(worker.holds(rig.number(0)));
  EXPECT_EQ(worker.held[rig.number(0)].assign.device, "cpu:0+cpu:1");
  EXPECT_EQ(rig.job(0).attempt, 2u);
}

TEST(CorePlacement, AWorkerThatComesBackWithAGangKeepsIt) {
  Rig rig;
  FakeWorker& worker = rig.worker("w", {1, 1});
  rig.submit(of_gangs({"a"}, 2));
  worker.started(rig.number(0));
  rig.restart();
  worker.join();
  EXPECT_TRUE(worker.holds(rig.number(0)));
  worker.devices.pop_back();  // without one of the two devices it cannot go on
  worker.join();
  EXPECT_FALSE(worker.holds(rig.number(0)));
  EXPECT_EQ(rig.phase(0), Phase::ready);
}

TEST(CorePlacement, AGangOfMoreRanksThanAnyWorkerHasIsExplained) {
  Rig rig;
  FakeWorker& worker = rig.worker("w", {4});
  rig.worker("v", {4});
  rig.submit(of_gangs({"a"}, 2));
  EXPECT_NE(explain(rig.state(), rig.job(0)).find("no worker that is connected has so many"), std::string::npos);
  rig.submit(of_tasks({"b"}));  // nobody waits behind it
  EXPECT_EQ(worker.held.size(), 1u);
}

TEST(CorePlacement, MeasuringTakesOneDevice) {
  Rig rig;
  Planner make;
  make.plan.ranks = 2;
  make.stage("evaluate", Kind::evaluate);
  make.taking("a", {});
  FakeWorker& worker = rig.worker("w", {1, 1});
  rig.submit(make.plan);
  EXPECT_EQ(worker.held[rig.number(0)].assign.device, "cpu:0");
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
