// A whole worker with real trainer processes (noop_trainer) against a coordinator that the test holds in its hand.
// Thread: a test's; the worker runs on one of its own.
#pragma once

#include "worker/agent.hpp"

#include <dirent.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <fstream>
#include <set>
#include <thread>

#include "common/files.hpp"
#include "common/protocol/fences.hpp"
#include "common/sha256.hpp"
#include "tests/unit/worker/fake_coordinator.hpp"

namespace fathom::worker {

namespace fs = std::filesystem;

// Children of this process, whichever thread started them.
inline std::set<pid_t> children() {
  std::set<pid_t> found;
  for (const auto& task : fs::directory_iterator("/proc/self/task")) {
    std::ifstream file(task.path() / "children");
    for (pid_t pid = 0; file >> pid;) found.insert(pid);
  }
  return found;
}

// The program.
std::string noop_trainer();

inline wire::Envelope assignment(std::uint64_t job, std::uint32_t attempt, int epochs,
                                 const std::string& device = "cpu:0") {
  wire::Envelope envelope;
  wire::Assign& assign = *envelope.mutable_assign();
  assign.mutable_fence()->set_job(job);
  assign.mutable_fence()->set_generation(1);
  assign.mutable_fence()->set_attempt(attempt);
  assign.mutable_fence()->set_lease(job * 100 + attempt);
  assign.set_job_id("0123456789abcdef");
  assign.set_device(device);
  assign.set_settings(R"({"kind":"adapter","train":{"epochs":)" + std::to_string(epochs) + "}}");
  assign.set_inputs("{}");
  return envelope;
}

// A worker on a thread of its own, ended and started again as the test likes.
class AgentTest : public testing::Test {
 protected:
  void SetUp() override {
    ::setenv("FATHOM_NOOP_MS", "0", 1);
    ::setenv("FATHOM_NOOP_CHECKPOINTS", "0", 1);
    ::setenv("FATHOM_NOOP_VERDICTS", "0", 1);
  }
  void TearDown() override {
    stop();
    EXPECT_TRUE(children().empty()) << "a trainer outlived its worker";
  }

  void start() {
    state_ = std::make_unique<StateFolder>(StateFolder::open(temp_.path() / "state").value());
    AgentSetup setup;
    setup.options.trainer = noop_trainer();
    setup.options.name = "test";
    setup.options.reconnect_first = Millis(10);
    setup.options.reconnect_most = Millis(50);
    setup.options.trainer_restart_first = Millis(10);
    setup.options.drain = Millis(5000);
    setup.devices = parse_devices({"cpu:1", "cpu:1"}, 2).value();
    setup.link.coordinator = {"127.0.0.1", coordinator_.port()};
    setup.link.tls = net::client_context({"", coordinator_.identity().ca_sha256}, net::kAlpnWorker).value();
    setup.link.first_pause = Millis(10);
    setup.link.most_pause = Millis(50);
    setup.version = "test";
    setup.machine = describe_machine();
    setup.machine.bf16 = true;
    agent_ = std::make_unique<Agent>(std::move(setup), *state_);
    thread_ = std::thread([this] { exit_code_ = agent_->run(); });
    ASSERT_TRUE(coordinator_.wait([](const auto& all) { return !all.empty() && all.back().has_heartbeat(); }));
  }

  void stop() {
    if (!agent_) return;
    agent_->drain();
    agent_->drain();  // at once
    join();
  }

  void join() {
    thread_.join();
    agent_.reset();
    state_.reset();
  }

  // The last item of a job.
  wire::Item last_of(std::uint64_t job) {
    return coordinator_.wait_item([job](const wire::Item& item) {
      return item.fence().job() == job && (item.has_finished() || item.has_failed() || item.has_stopped());
    });
  }
  wire::Item started(std::uint64_t job) {
    return coordinator_.wait_item(
        [job](const wire::Item& item) { return item.fence().job() == job && item.has_started(); });
  }
  // Until a heartbeat holds `count` attempts.
  bool wait_held(int count) {
    coordinator_.forget();
    return coordinator_.wait([count](const auto& all) {
      return !all.empty() && all.back().has_heartbeat() && all.back().heartbeat().held_size() == count;
    });
  }

  TempFolder temp_;
  FakeCoordinator coordinator_;
  std::unique_ptr<StateFolder> state_;
  std::unique_ptr<Agent> agent_;
  std::thread thread_;
  int exit_code_ = -1;
};

}  // namespace fathom::worker
