// evolve() refuses a log that does not follow from itself: gaps, newer formats, moves that the table does not have.
#include <functional>

#include "tests/unit/coordinator/core_rig.hpp"

namespace fathom::core::test {
namespace {

using sweeps::Kind;

struct CoreLog : ::testing::Test {
  CoreLog() {
    Planner make;
    make.stage("adapter", Kind::adapter).adapter("mr");
    worker = &rig.worker("w");
    rig.submit(make.plan);
    rig.checking = false;
    state = rig.state();
  }
  // An event that comes next.
  event::Event event() const {
    event::Event e;
    e.set_seq(state.seq + 1);
    e.set_version(kEventVersion);
    return e;
  }
  Errc refusal(const event::Event& e) {
    const Status status = evolve(state, e);
    EXPECT_FALSE(status.ok());
    return status.ok() ? Errc::internal : status.error().code;
  }
  void fence(event::Fence* to, std::uint32_t attempt) const {
    to->set_job(1);
    to->set_generation(1);
    to->set_attempt(attempt);
    to->set_lease(1);
    to->set_sequence(1);
  }
  Rig rig;
  FakeWorker* worker = nullptr;
  State state;
};

TEST_F(CoreLog, AGapInTheNumbers) {
  event::Event e = event();
  e.set_seq(state.seq + 2);
  e.mutable_worker_gone()->set_worker(1);
  EXPECT_EQ(refusal(e), Errc::corrupt);
}

TEST_F(CoreLog, ANewerFormatOrAnUnknownPayload) {
  event::Event e = event();
  e.set_version(kEventVersion + 1);
  EXPECT_EQ(refusal(e), Errc::unsupported);
  EXPECT_EQ(refusal(event()), Errc::unsupported);  // no payload that this build knows
}

TEST_F(CoreLog, AMoveThatTheTableDoesNotHave) {
  event::Event e = event();
  e.mutable_job_ready()->set_job(1);  // it is leased
  EXPECT_EQ(refusal(e), Errc::corrupt);
}

TEST_F(CoreLog, AnItemOfAnotherAttempt) {
  event::Event e = event();
  fence(e.mutable_job_started()->mutable_fence(), 2);
  EXPECT_EQ(refusal(e), Errc::corrupt);
}

TEST_F(CoreLog, NumbersOfNothing) {
  event::Event e = event();
  e.mutable_job_ready()->set_job(99);
  EXPECT_EQ(refusal(e), Errc::corrupt);
  e.mutable_worker_gone()->set_worker(99);
  EXPECT_EQ(refusal(e), Errc::corrupt);
  e.mutable_sweep_ended()->set_sweep(99);
  EXPECT_EQ(refusal(e), Errc::corrupt);
}

TEST_F(CoreLog, ALeaseThatWasGivenBefore) {
  worker->finish(rig.number(0), 0.5);
  Planner make;
  make.stage("adapter", Kind::adapter).adapter("mr");
  worker->gone();
  rig.submit(make.plan);
  state = rig.state();
  event::Event e = event();
  auto* granted = e.mutable_lease_granted();
  fence(granted->mutable_fence(), 1);
  granted->mutable_fence()->set_job(2);
  granted->set_worker(1);
  granted->set_device("cpu:0");
  EXPECT_EQ(refusal(e), Errc::corrupt);
}

TEST_F(CoreLog, APhaseThatIsNotTheOneThatWasWritten) {
  event::Event e = event();
  e.set_job(1);
  e.set_phase(event::SUCCEEDED);
  fence(e.mutable_job_started()->mutable_fence(), 1);
  EXPECT_EQ(refusal(e), Errc::corrupt);
}

TEST_F(CoreLog, ASweepOfAnotherExpander) {
  event::Event e = event();
  auto* submitted = e.mutable_sweep_submitted();
  submitted->set_sweep(2);
  submitted->set_first_job(2);
  submitted->set_jobs(1);
  submitted->set_expander_version(sweeps::kExpanderVersion + 1);
  EXPECT_EQ(refusal(e), Errc::unsupported);
}

TEST_F(CoreLog, APlanOfAnotherSize) {
  event::Event e = event();
  auto* submitted = e.mutable_sweep_submitted();
  submitted->set_sweep(2);
  submitted->set_first_job(2);
  submitted->set_jobs(5);
  Planner make;
  make.stage("adapter", Kind::adapter).adapter("mr");
  const Status status = evolve(state, e, std::make_shared<const sweeps::Plan>(make.plan));
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, Errc::corrupt);
}

TEST_F(CoreLog, EveryEventOfOneJobSaysWhichAndWhereItStands) {
  worker->started(rig.number(0));
  worker->finish(rig.number(0), 0.5);
  std::size_t with_job = 0;
  for (const std::string& bytes : rig.log) {
    event::Event e;
    ASSERT_TRUE(e.ParseFromString(bytes));
    EXPECT_EQ(e.version(), kEventVersion);
    EXPECT_GT(e.wall_ms(), 0);
    with_job += e.job() != 0 ? 1 : 0;
    EXPECT_EQ(e.job() != 0, e.phase() != event::UNKNOWN);
  }
  EXPECT_EQ(with_job, 3u);  // granted, started, finished
}

TEST_F(CoreLog, DigestsTellStatesApart) {
  const std::string before = digest(rig.state());
  EXPECT_EQ(before, digest(rig.state()));
  worker->started(rig.number(0));
  EXPECT_NE(before, digest(rig.state()));
}

TEST_F(CoreLog, InvariantsSeeAStateThatWasTamperedWith) {
  EXPECT_TRUE(invariants(rig.state()).empty());
  const auto broken = [&](const std::function<void(State&)>& change) {
    State copy = rig.state();
    change(copy);
    return !invariants(copy).empty();
  };
  EXPECT_TRUE(broken([](State& s) { s.leases.clear(); }));
  EXPECT_TRUE(broken([](State& s) { ++s.sweeps[0].counts[static_cast<std::size_t>(Phase::ready)]; }));
  EXPECT_TRUE(broken([](State& s) { s.sweeps[0].jobs[0].state = Ready{}; }));
  EXPECT_TRUE(broken([](State& s) { ++s.sweeps[0].jobs[0].attempt; }));
  EXPECT_TRUE(broken([](State& s) { s.workers[0].devices[0].running = 0; }));
  EXPECT_TRUE(broken([](State& s) { s.free.all.insert({0, WorkerNumber(1), 0}); }));
  EXPECT_TRUE(broken([](State& s) { s.checkpoint_uses["x"] = 1; }));
  EXPECT_TRUE(broken([](State& s) { s.sweeps[0].active.clear(); }));
  EXPECT_TRUE(broken([](State& s) { s.sweeps[0].outcome = "succeeded"; }));
}

// A log that lost its end: what was given out in it is never given out again.
TEST_F(CoreLog, ARepairMovesNumbersOnAndNeverBack) {
  event::Event e = event();
  e.mutable_log_repaired()->set_epoch(state.epoch + 1000);
  e.mutable_log_repaired()->set_next_lease(state.next_lease + 1000);
  const std::uint64_t leases = state.next_lease;
  ASSERT_TRUE(evolve(state, e).ok());
  EXPECT_EQ(state.next_lease, leases + 1000);
  EXPECT_TRUE(invariants(state).empty());
  event::Event back = event();
  back.mutable_log_repaired()->set_epoch(state.epoch);
  back.mutable_log_repaired()->set_next_lease(state.next_lease - 1);
  EXPECT_EQ(refusal(back), Errc::corrupt);
}

}  // namespace
}  // namespace fathom::core::test
