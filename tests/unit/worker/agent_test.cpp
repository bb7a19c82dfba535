// What a worker says and does, from its first word to its end.
#include "tests/unit/worker/agent_fixture.hpp"

namespace fathom::worker {
namespace {

TEST_F(AgentTest, HelloSaysWhoAndWhatItIs) {
  start();
  const wire::Hello hello = coordinator_.last_hello();
  EXPECT_EQ(hello.protocol(), 1u);
  EXPECT_EQ(hello.worker_uid(), state_->uid());
  ASSERT_EQ(hello.devices_size(), 2);
  EXPECT_EQ(hello.devices(1).name(), "cpu:1");
  EXPECT_EQ(hello.devices(1).slots(), 2u);
  EXPECT_EQ(hello.devices(1).ahead(), 64u);
  EXPECT_GT(hello.devices(1).memory(), 0u);
  EXPECT_TRUE(hello.devices(1).bf16());
}

TEST_F(AgentTest, AJobFromAssignToItsFiles) {
  start();
  coordinator_.send(assignment(7, 1, 2));
  const wire::Item last = last_of(7);
  ASSERT_TRUE(last.has_finished());
  const auto items = coordinator_.items();
  ASSERT_EQ(items.size(), 4u);
  for (std::size_t index = 0; index < items.size(); ++index) EXPECT_EQ(items[index].sequence(), index + 1);
  EXPECT_TRUE(items[0].has_started());
  EXPECT_EQ(items[2].report().epoch(), 2u);
  EXPECT_EQ(last.fence().lease(), 701u);
  ASSERT_EQ(last.finished().files_size(), 1);
  EXPECT_EQ(last.finished().files(0).path(), "fathom.json");
  const std::string bytes = coordinator_.artifact(last.finished().files(0).sha256());
  EXPECT_EQ(bytes.size(), last.finished().files(0).size());
  EXPECT_NE(bytes.find("\"objective\""), std::string::npos);
  EXPECT_TRUE(wait_held(0));
  for (int tries = 0; tries < 500 && !fs::is_empty(state_->jobs()); ++tries) ::usleep(2000);
  EXPECT_TRUE(fs::is_empty(state_->jobs()));
  const fs::path spool = state_->spool();
  stop();
  EXPECT_TRUE(fs::is_empty(spool));
}

TEST_F(AgentTest, UnacknowledgedItemsComeAgainOverANewConnection) {
  coordinator_.answer(true, false);
  start();
  coordinator_.send(assignment(7, 1, 1));
  ASSERT_TRUE(last_of(7).has_finished());
  const auto before = coordinator_.items();
  coordinator_.forget();
  coordinator_.drop();
  ASSERT_TRUE(last_of(7).has_finished());
  const auto after = coordinator_.items();
  ASSERT_EQ(after.size(), before.size());
  for (std::size_t index = 0; index < after.size(); ++index) {
    EXPECT_EQ(after[index].SerializeAsString(), before[index].SerializeAsString());
  }
  const wire::Hello hello = coordinator_.last_hello();
  ASSERT_EQ(hello.held_size(), 1);
  EXPECT_FALSE(hello.held(0).running());
}

TEST_F(AgentTest, ARestartedWorkerTellsWhatItsSpoolHolds) {
  coordinator_.answer(true, false);
  start();
  coordinator_.send(assignment(7, 1, 1));
  ASSERT_TRUE(last_of(7).has_finished());
  stop();
  coordinator_.forget();
  start();
  EXPECT_EQ(coordinator_.last_hello().held_size(), 1);
  ASSERT_TRUE(last_of(7).has_finished());
  EXPECT_EQ(coordinator_.items().size(), 3u);
  coordinator_.answer(true, true);
  coordinator_.drop();
  EXPECT_TRUE(wait_held(0));
}

TEST_F(AgentTest, WhatTheWelcomeAbandonsIsForgotten) {
  ::setenv("FATHOM_NOOP_MS", "20", 1);
  start();
  coordinator_.send(assignment(7, 1, 1000));
  ASSERT_TRUE(started(7).has_started());
  coordinator_.abandon_next(assignment(7, 1, 1).assign().fence());
  coordinator_.drop();
  ASSERT_TRUE(wait_held(0));
  coordinator_.forget();
  coordinator_.send(assignment(7, 2, 1));
  EXPECT_TRUE(last_of(7).has_finished());
  for (const wire::Item& item : coordinator_.items()) EXPECT_EQ(item.fence().attempt(), 2u);
}

TEST_F(AgentTest, RunningJobsAreHeldOverALostConnection) {
  ::setenv("FATHOM_NOOP_MS", "5", 1);
  start();
  coordinator_.send(assignment(7, 1, 60));
  ASSERT_TRUE(started(7).has_started());
  coordinator_.drop();
  ASSERT_TRUE(last_of(7).has_finished());
  ASSERT_EQ(coordinator_.last_hello().held_size(), 1);
  EXPECT_TRUE(coordinator_.last_hello().held(0).running());
  std::set<std::uint64_t> sequences;
  for (const wire::Item& item : coordinator_.items()) sequences.insert(item.sequence());
  EXPECT_EQ(sequences.size(), 62u) << "each item came at least once";
}

TEST_F(AgentTest, AHalfOpenLineIsGivenUp) {
  coordinator_.terms(50, 2000, 60'000);
  start();
  const int before = coordinator_.hellos();
  coordinator_.answer(false, true);
  EXPECT_TRUE(coordinator_.wait([&](const auto& all) {
    int hellos = 0;
    for (const auto& envelope : all) hellos += envelope.has_hello() ? 1 : 0;
    return hellos > before;
  }));
}

TEST_F(AgentTest, BeyondTheOrphanGraceJobsStopAndAreNotClaimed) {
  ::setenv("FATHOM_NOOP_MS", "20", 1);
  coordinator_.terms(50, 300, 400);
  start();
  coordinator_.send(assignment(7, 1, 1000));
  ASSERT_TRUE(started(7).has_started());
  coordinator_.accept(false);
  coordinator_.drop();
  ::usleep(800'000);
  coordinator_.forget();
  coordinator_.accept(true);
  ASSERT_TRUE(wait_held(0));
  const wire::Hello hello = coordinator_.last_hello();
  for (const wire::Held& held : hello.held()) EXPECT_FALSE(held.running());
  for (const wire::Item& item : coordinator_.items()) EXPECT_FALSE(item.has_stopped() || item.has_failed());
}

TEST_F(AgentTest, ACrashIsToldForEachJobAndTheTrainerComesBack) {
  ::setenv("FATHOM_NOOP_MS", "50", 1);
  start();
  const auto trainers = children();
  ASSERT_EQ(trainers.size(), 2u);
  coordinator_.send(assignment(1, 1, 1000));
  coordinator_.send(assignment(2, 1, 1000));
  coordinator_.send(assignment(3, 1, 1000, "cpu:1"));
  for (const std::uint64_t job : {1, 2, 3}) ASSERT_TRUE(started(job).has_started());
  for (const pid_t pid : trainers) ::kill(pid, SIGKILL);
  for (const std::uint64_t job : {1, 2, 3}) {
    const wire::Item last = last_of(job);
    ASSERT_TRUE(last.has_failed());
    EXPECT_EQ(last.failed().error_class(), "crash");
    EXPECT_EQ(last.failed().alone(), job == 3);
    EXPECT_NE(last.failed().message().find("signal 9"), std::string::npos) << last.failed().message();
  }
  coordinator_.send(assignment(4, 1, 1));
  EXPECT_TRUE(last_of(4).has_finished());
}

TEST_F(AgentTest, StopEndsARunningJobWithItsResult) {
  ::setenv("FATHOM_NOOP_MS", "10", 1);
  start();
  coordinator_.send(assignment(7, 1, 1000));
  (void)coordinator_.wait_item([](const wire::Item& item) { return item.has_report(); });
  wire::Envelope stop;
  *stop.mutable_stop()->mutable_fence() = assignment(7, 1, 1).assign().fence();
  stop.mutable_stop()->set_cause("search");
  coordinator_.send(stop);
  const wire::Item last = last_of(7);
  ASSERT_TRUE(last.has_stopped());
  EXPECT_GE(last.stopped().epoch(), 1u);
  EXPECT_FALSE(last.stopped().result().empty());
  EXPECT_EQ(last.stopped().files_size(), 1);
}

// A trainer that asks for acknowledgements knows when a report has had its verdict: the next one, or the end, follows.
TEST_F(AgentTest, ATrainerThatAsksHearsWhenAReportIsJudged) {
  ::setenv("FATHOM_NOOP_VERDICTS", "1", 1);
  coordinator_.answer(true, false);
  start();
  coordinator_.send(assignment(7, 1, 1000));
  const auto report = [&](std::uint32_t epoch) {
    return coordinator_.wait_item(
        [epoch](const wire::Item& item) { return item.has_report() && item.report().epoch() == epoch; });
  };
  const auto acknowledge = [&](const wire::Item& item) {
    wire::Envelope envelope;
    wire::ItemAck& ack = *envelope.mutable_item_ack();
    ack.set_job(7), ack.set_generation(1), ack.set_attempt(1);
    ack.set_sequence(item.sequence());
    coordinator_.send(envelope);
  };
  const wire::Item first = report(1);
  ASSERT_EQ(first.sequence(), 2u) << "behind Started";
  // Time goes by, and nothing more is said.
  const std::size_t before = coordinator_.items().size();
  ASSERT_TRUE(wait_held(1));
  ASSERT_TRUE(wait_held(1));
  EXPECT_TRUE(coordinator_.items().empty());
  EXPECT_EQ(before, 2u);
  acknowledge(first);
  const wire::Item second = report(2);
  ASSERT_TRUE(second.has_report());
  // A verdict that ends it comes before its acknowledgement: there is no third report.
  wire::Envelope stop;
  *stop.mutable_stop()->mutable_fence() = first.fence();
  stop.mutable_stop()->set_cause("search");
  coordinator_.send(stop);
  acknowledge(second);
  EXPECT_EQ(last_of(7).stopped().epoch(), 2u);
}

TEST_F(AgentTest, InputsAndResumeAreLaidAndCheckpointsAreStored) {
  ::setenv("FATHOM_NOOP_CHECKPOINTS", "1", 1);
  start();
  wire::Envelope job = assignment(7, 2, 4);
  wire::File& file = *job.mutable_assign()->add_fetch();
  file.set_path("mr/adapter.bin");
  file.set_sha256(coordinator_.put(std::string(3'000'000, 'w')));
  const std::string saved = R"({"epoch":2,"best":1,"objective":0.5})";
  job.mutable_assign()->mutable_resume()->set_epoch(2);
  job.mutable_assign()->mutable_resume()->mutable_file()->set_sha256(coordinator_.put(saved));
  coordinator_.send(job);
  EXPECT_EQ(started(7).started().resumed_epoch(), 2u);
  const wire::Item checkpoint = coordinator_.wait_item([](const wire::Item& item) { return item.has_checkpoint(); });
  EXPECT_EQ(checkpoint.checkpoint().epoch(), 3u);
  EXPECT_EQ(checkpoint.checkpoint().file().path(), "checkpoints/epoch-3.ckpt");
  EXPECT_NE(coordinator_.artifact(checkpoint.checkpoint().file().sha256()), "absent");
  EXPECT_TRUE(last_of(7).has_finished());
}

TEST_F(AgentTest, AMissingInputFailsTheJobAndAMissingResumeDoesNot) {
  start();
  wire::Envelope job = assignment(7, 1, 1);
  wire::File& file = *job.mutable_assign()->add_fetch();
  file.set_path("mr/adapter.bin");
  file.set_sha256(sha256_hex("nobody has this"));
  coordinator_.send(job);
  const wire::Item last = last_of(7);
  ASSERT_TRUE(last.has_failed());
  EXPECT_EQ(last.failed().error_class(), "data");
  wire::Envelope other = assignment(8, 1, 1);
  other.mutable_assign()->mutable_resume()->mutable_file()->set_sha256(sha256_hex("nor this"));
  coordinator_.send(other);
  EXPECT_TRUE(last_of(8).has_finished());
  wire::Envelope nowhere = assignment(9, 1, 1, "cuda:7");
  coordinator_.send(nowhere);
  EXPECT_TRUE(last_of(9).has_failed());
}

// Row 22: the artifact store of this coordinator has lost its newest checkpoint, then three of four.
TEST_F(AgentTest, ADamagedResumeFallsBackToTheOlderOne) {
  start();
  const std::string saved = coordinator_.put(R"({"epoch":2,"best":1,"objective":0.5})");
  for (const std::uint64_t number : {7, 8}) {
    wire::Envelope job = assignment(number, 2, 4);
    wire::Assign& assign = *job.mutable_assign();
    std::vector<wire::Checkpoint*> offered = {assign.mutable_resume(), assign.mutable_resume_older()};
    if (number == 8) offered.insert(offered.end(), {assign.add_resume_earlier(), assign.add_resume_earlier()});
    for (auto* one : offered) one->mutable_file()->set_sha256(one == offered.back() ? saved : sha256_hex("rotten"));
    coordinator_.send(job);
    EXPECT_EQ(started(number).started().resumed_epoch(), 2u);
    EXPECT_TRUE(last_of(number).has_finished());
  }
}

TEST_F(AgentTest, DrainDeliversEndsTrainersAndLeaves) {
  ::setenv("FATHOM_NOOP_MS", "20", 1);
  ::setenv("FATHOM_NOOP_CHECKPOINTS", "1", 1);
  start();
  coordinator_.send(assignment(7, 1, 1000));
  (void)coordinator_.wait_item([](const wire::Item& item) { return item.has_checkpoint(); });
  agent_->drain();
  join();
  EXPECT_EQ(exit_code_, 0);
  const auto items = coordinator_.items();
  ASSERT_TRUE(items.back().has_stopped()) << "handed back";
  EXPECT_EQ(items.back().stopped().result(), "");
  EXPECT_TRUE(coordinator_.wait(
      [](const auto& all) { return all.back().has_heartbeat() && all.back().heartbeat().held_size() == 0; }));
}

}  // namespace
}  // namespace fathom::worker
