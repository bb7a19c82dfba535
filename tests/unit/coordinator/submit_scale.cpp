// A sweep of a hundred thousand jobs, from the text of its file to durable events.
#include <algorithm>
#include <chrono>
#include <ctime>
#include <future>
#include <iostream>
#include <memory>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "coordinator/core/core.hpp"
#include "coordinator/core/inspect.hpp"
#include "coordinator/store/event_store.hpp"
#include "sweeps/sweep.hpp"
#include "tests/unit/coordinator/store_testing.hpp"

namespace fathom::core::test {
namespace {

// 10 tasks × 5 drops × 20 learning rates for each seed, and an evaluation of each.
constexpr std::size_t kJobsOfASeed = 2'000;

std::string text_of(std::size_t seeds) {
  std::string out = "version: 1\nname: wide\nmodel: {path: models/m}\ntasks:\n";
  for (char task = 'a'; task < 'k'; ++task) out += std::string("  ") + task + ": {path: data/" + task + "}\n";
  return out + "train: {epochs: 9}\nparameters: {lr: {min: 1e-5, max: 1e-2, scale: log, samples: 20}}\nseeds: 1.." +
         std::to_string(seeds) +
         "\nstages:\n  adapter: {drop: {standard: true, specialized: 1..4}, stop: {method: asha, eta: 3}}\n"
         "  evaluate: {from: adapter, depths: all}\n";
}

// Real time for people, processor time of this process to compare: a busy machine does not change it much.
struct Stopwatch {
  std::chrono::steady_clock::time_point real = std::chrono::steady_clock::now();
  std::clock_t processor = std::clock();
  [[nodiscard]] double real_seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - real).count();
  }
  [[nodiscard]] double processor_seconds() const {
    return static_cast<double>(std::clock() - processor) / CLOCKS_PER_SEC;
  }
};

// A core in front of the coordinator's own store, on disk.
struct Stored {
  Stored() : store(store::open_event_store(folder / "events.db", {}).value()) { give(Start{"test"}); }

  Answer give(const Command& command) {
    now.mono += Millis(10), now.wall += Millis(10);
    const Step step = core.handle(command, now);
    EXPECT_FALSE(step.rejection) << step.rejection->message;
    std::vector<store::EventRecord> records;
    for (const event::Event& event : step.events) records.push_back({event.seq(), event.SerializeAsString()});
    std::promise<Status> durable;
    store->append(std::move(records), [&](const Status& status) { durable.set_value(status); });
    EXPECT_TRUE(durable.get_future().get().ok());
    return step.answer;
  }

  // What a coordinator that starts again has.
  State loaded() {
    store.reset();
    store = store::open_event_store(folder / "events.db", {}).value();
    State state;
    const Status status = store->load(1, [&](const store::EventRecord& record) -> Status {
      event::Event event;
      EXPECT_TRUE(event.ParseFromString(record.bytes));
      return evolve(state, event);
    });
    EXPECT_TRUE(status.ok()) << status.error().message;
    return state;
  }

  fathom::testing::TempFolder folder;
  std::unique_ptr<store::EventStore> store;
  Core core{Options{}};
  Now now{TimePoint(Millis(1'000)), WallTime(Millis(1'700'000'000'000))};
};

// Seconds of processor time for a job, from the text to the answer that the sweep is stored.
double submit(std::size_t jobs, Stored& stored) {
  const std::string yaml = text_of(jobs / kJobsOfASeed);
  const Stopwatch all;
  sweeps::ParseResult parsed = sweeps::parse(yaml, {});
  for (const auto& error : parsed.errors) ADD_FAILURE() << sweeps::render(error);
  const double parse = all.real_seconds();
  auto plan = sweeps::expand(parsed.sweep);
  EXPECT_TRUE(plan.ok()) << plan.error().message;
  EXPECT_EQ(plan->jobs.size(), jobs);
  const double expand = all.real_seconds() - parse;
  SubmitSweep command;
  command.resolved = parsed.sweep.resolved.dump();
  command.yaml = yaml;
  command.expander_version = sweeps::kExpanderVersion;
  command.plan = std::make_shared<const sweeps::Plan>(*std::move(plan));
  const Answer answer = stored.give(command);
  EXPECT_TRUE(std::holds_alternative<Submitted>(answer));
  const double processor = all.processor_seconds(), real = all.real_seconds();
  std::cout << "[ submitted ] " << jobs << " jobs: " << real << " s (parse " << parse << ", expand " << expand
            << ", commit " << real - parse - expand << "), processor " << processor << " s\n";
  ::testing::Test::RecordProperty("submit_" + std::to_string(jobs) + "_ms", static_cast<int>(real * 1000));
  return processor / static_cast<double>(jobs);
}

TEST(SubmitScale, TenTimesTheJobsTakeTenTimesAsLong) {
  double each_of_few = 0;
  for (int round = 0; round < 3; ++round) {
    Stored few;
    each_of_few = std::max(each_of_few, submit(10'000, few));
  }
  Stored many;
  EXPECT_LE(submit(100'000, many), 3 * each_of_few);
  const std::string committed = digest(many.core.state());
  const State again = many.loaded();
  EXPECT_EQ(again.jobs(), 100'000u);
  EXPECT_EQ(digest(again), committed);
}

}  // namespace
}  // namespace fathom::core::test
