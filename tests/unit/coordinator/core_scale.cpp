// A hundred thousand jobs: no step may look at all of them.
#include <ctime>

#include "tests/unit/coordinator/core_rig.hpp"

namespace fathom::core::test {
namespace {

using sweeps::Kind;

// Processor time of this process, so that a busy machine does not fail the bounds.
double seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }
double seconds_since(double start) { return seconds() - start; }

// 50,000 adapters, each with an evaluate of it.
sweeps::Plan wide() {
  Planner make;
  make.stage("adapter", Kind::adapter);
  for (int i = 0; i < 50'000; ++i) make.adapter("task" + std::to_string(i % 20), 1e-5 * (i + 1));
  make.stage("evaluate", Kind::evaluate);
  for (std::uint32_t i = 0; i < 50'000; ++i) make.taking("t", {best_of("source", {i})});
  return make.plan;
}

// Bounds leave room for sanitizers: measured with -O1 on an idle machine are 0.23 s for the submit and 15 us a job. A
// scan over all jobs in each step would take a thousand times longer.
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
  std::vector<std::string> log = rig.log;
  const auto give = [&](const Command& one) {
    Step done = rig.core->handle(one, rig.now);
    for (const event::Event& event : done.events) log.push_back(event.SerializeAsString());
    return done;
  };
  double start = seconds();
  Step step = give(command);
  const double submit = seconds_since(start);
  EXPECT_EQ(step.events.size(), 9u);  // the submit and eight leases
  EXPECT_LT(submit, 5.0);
  RecordProperty("submit_ms", static_cast<int>(submit * 1000));

  start = seconds();
  constexpr int kJobs = 5'000;
  const SweepNumber sweep = rig.state().sweeps.back().number;
  for (int i = 0; i < kJobs; ++i) {
    const Lease lease = rig.state().leases.begin()->second;
    give(ItemReceived{worker.number, lease.fence, 1, item::Started{}});
    give(ItemReceived{worker.number, lease.fence, 2, item::Finished{R"({"objective": 0.5})", {}}});
  }
  const double each = seconds_since(start) / kJobs;
  EXPECT_LT(each, 0.005);
  RecordProperty("job_us", static_cast<int>(each * 1e6));
  EXPECT_EQ(rig.state().sweep(sweep)->counts[static_cast<std::size_t>(Phase::succeeded)], 5'000u);

  start = seconds();
  step = give(CancelSweep{sweep});
  EXPECT_LT(seconds_since(start), 5.0);
  EXPECT_EQ(step.events.size(), 1u);
  EXPECT_TRUE(invariants(rig.state()).empty());

  start = seconds();
  State again;
  for (const std::string& bytes : log) {
    event::Event event;
    ASSERT_TRUE(event.ParseFromString(bytes));
    ASSERT_TRUE(evolve(again, event, event.has_sweep_submitted() ? command.plan : nullptr).ok());
  }
  const double replay = seconds_since(start);
  EXPECT_LT(replay, 8.0);
  RecordProperty("replay_events", static_cast<int>(log.size()));
  RecordProperty("replay_ms", static_cast<int>(replay * 1000));
  EXPECT_EQ(digest(again), digest(rig.state()));
}

}  // namespace
}  // namespace fathom::core::test
