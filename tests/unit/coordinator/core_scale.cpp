// A hundred thousand jobs: no step may look at all of them.
#include <chrono>

#include "tests/unit/coordinator/core_rig.hpp"

namespace fathom::core::test {
namespace {

using sweeps::Kind;
using Seconds = std::chrono::duration<double>;

double seconds_since(std::chrono::steady_clock::time_point start) {
  return Seconds(std::chrono::steady_clock::now() - start).count();
}

// 50,000 adapters, each with an evaluate of it.
sweeps::Plan wide() {
  Planner make;
  make.stage("adapter", Kind::adapter);
  for (int i = 0; i < 50'000; ++i) make.adapter("task" + std::to_string(i % 20), 1e-5 * (i + 1));
  make.stage("evaluate", Kind::evaluate);
  for (std::uint32_t i = 0; i < 50'000; ++i) make.taking("t", {best_of("source", {i})});
  return make.plan;
}

// Bounds are several times what is measured in a release build (submit 0.15 s), so that a busy machine does not fail
// them; a scan over all jobs in each step would take hundreds of times longer.
TEST(CoreScale, SubmitDispatchAndCancelOfAHundredThousandJobs) {
  Rig rig;
  rig.checking = false;
  FakeWorker& worker = rig.worker("w", {8});
  const sweeps::Plan plan = wide();
  SubmitSweep command;
  command.plan = std::make_shared<const sweeps::Plan>(plan);
  command.resolved = "{}";
  command.expander_version = sweeps::kExpanderVersion;
  rig.plans["{}"] = command.plan;
  auto start = std::chrono::steady_clock::now();
  Step step = rig.core->handle(command, rig.now);
  const double submit = seconds_since(start);
  EXPECT_EQ(step.events.size(), 9u);  // the submit and eight leases
  EXPECT_LT(submit, 2.0);
  RecordProperty("submit_ms", static_cast<int>(submit * 1000));

  start = std::chrono::steady_clock::now();
  constexpr int kJobs = 5'000;
  const SweepNumber sweep = rig.state().sweeps.back().number;
  for (int i = 0; i < kJobs; ++i) {
    const Lease lease = rig.state().leases.begin()->second;
    rig.core->handle(ItemReceived{worker.number, lease.fence, 1, item::Started{}}, rig.now);
    rig.core->handle(ItemReceived{worker.number, lease.fence, 2, item::Finished{R"({"objective": 0.5})", {}}}, rig.now);
  }
  const double each = seconds_since(start) / kJobs;
  EXPECT_LT(each, 0.002);
  RecordProperty("job_us", static_cast<int>(each * 1e6));
  EXPECT_EQ(rig.state().sweep(sweep)->counts[static_cast<std::size_t>(Phase::succeeded)], 5'000u);

  start = std::chrono::steady_clock::now();
  step = rig.core->handle(CancelSweep{sweep}, rig.now);
  EXPECT_LT(seconds_since(start), 2.0);
  EXPECT_EQ(step.events.size(), 1u);
  EXPECT_TRUE(invariants(rig.state()).empty());
}

}  // namespace
}  // namespace fathom::core::test
