// Jobs beyond the slots: they wait in the worker (docs/decisions/0022).
#include <set>

#include "tests/unit/worker/agent_fixture.hpp"

namespace fathom::worker {
namespace {

TEST_F(AgentTest, BeyondTheSlotsJobsWaitAndBeginInTheirOrder) {
  ::setenv("FATHOM_NOOP_MS", "200", 1);
  start();
  for (const std::uint64_t job : {1, 2, 3, 4, 5}) coordinator_.send(assignment(job, 1, 1));
  (void)last_of(1);
  const auto started_before = [&](const wire::Item& last) {
    std::set<std::uint64_t> jobs;
    for (const wire::Item& item : coordinator_.items()) {
      if (item.has_started()) jobs.insert(item.fence().job());
      if (item.fence().job() == last.fence().job() && item.has_finished()) break;
    }
    return jobs;
  };
  EXPECT_EQ(started_before(last_of(1)), (std::set<std::uint64_t>{1, 2})) << "two slots";
  // Nobody was asked in between.
  EXPECT_TRUE(last_of(3).has_finished());
  EXPECT_TRUE(last_of(5).has_finished());
}

TEST_F(AgentTest, WhatWaitsIsHandedBackWhenItIsStopped) {
  ::setenv("FATHOM_NOOP_MS", "300", 1);
  start();
  for (const std::uint64_t job : {1, 2, 3}) coordinator_.send(assignment(job, 1, 1));
  (void)started(2);
  wire::Envelope stop;
  *stop.mutable_stop()->mutable_fence() = assignment(3, 1, 1).assign().fence();
  stop.mutable_stop()->set_cause("cancel");
  coordinator_.send(stop);
  const wire::Item last = last_of(3);
  ASSERT_TRUE(last.has_stopped());
  EXPECT_EQ(last.sequence(), 1u) << "it never began";
  EXPECT_EQ(last.stopped().epoch(), 0u);
  EXPECT_TRUE(last_of(1).has_finished());
}

// It never was in the trainer, so its next one runs it: no attempt of it is lost.
TEST_F(AgentTest, WhatWaitsOutlivesACrash) {
  ::setenv("FATHOM_NOOP_MS", "500", 1);
  start();
  const auto before = children();
  for (const std::uint64_t job : {1, 2, 3}) coordinator_.send(assignment(job, 1, 1));
  (void)started(2);
  for (const pid_t pid : before) ::kill(pid, SIGKILL);
  for (const std::uint64_t job : {1, 2}) {
    const wire::Item last = last_of(job);
    ASSERT_TRUE(last.has_failed());
    EXPECT_EQ(last.failed().error_class(), "crash");
  }
  EXPECT_TRUE(last_of(3).has_finished());
}

}  // namespace
}  // namespace fathom::worker
