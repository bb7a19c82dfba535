// The real core in front of a store in memory, and a worker that does what it is told: makes true logs for the read
// model's tests. Thread: one.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <functional>

#include <nlohmann/json.hpp>

#include "coordinator/core/core.hpp"
#include "coordinator/store/memory_event_store.hpp"
#include "sweeps/sweep.hpp"

namespace fathom::testing {

// 2 tasks x (standard, specialized 2) x 2 lr = 8 adapters; 1 fusion, and its pruned form; 4 + 1 evaluations at depths.
inline constexpr const char* kSweep = R"(version: 1
name: small
model: {path: models/minilm}
tasks:
  mr:  {data: {train: mr/train.tsv, eval: mr/dev.tsv}, text: text, label: label}
  sms: {data: {train: sms/train.tsv, eval: sms/dev.tsv}, text: text, label: label}
train: {epochs: 2, batch: 16}
parameters:
  lr: {values: [0.003, 0.001]}
seeds: [1]
stages:
  adapter:
    drop: {standard: true, specialized: [2]}
  fusion:
    needs: {from: adapter, where: {drop: standard}}
    sets: [all]
    targets: [mr]
  prune: {from: fusion, keep: [1]}
  evaluate: {from: [adapter, fusion], best: 1, per: [task, drop], depths: [0, 2]}
)";

class CoreDriver {
 public:
  explicit CoreDriver(store::EventStore& store) : store_(store), core_(core::Options{}) { give(core::Start{"test"}); }

  core::Answer give(core::Command command) {
    now_.mono += Millis(10);
    now_.wall += Millis(10);
    core::Step step = core_.handle(command, now_);
    EXPECT_FALSE(step.rejection) << step.rejection->message;
    std::vector<store::EventRecord> records;
    for (const event::Event& event : step.events) records.push_back({event.seq(), event.SerializeAsString()});
    if (!records.empty()) store_.append(std::move(records), {});
    for (const core::Effect& effect : step.effects) {
      if (const auto* assign = std::get_if<core::SendAssign>(&effect)) assigned.push_back(*assign);
      if (const auto* stop = std::get_if<core::SendStop>(&effect)) stops.push_back(*stop);
    }
    for (const core::Effect& effect : step.effects) {
      if (const auto* wanted = std::get_if<core::ReadResults>(&effect)) give(read(*wanted));
    }
    return step.answer;
  }

  core::Submitted submit(const std::string& yaml = kSweep) {
    sweeps::ParseResult parsed = sweeps::parse(yaml, {});
    for (const auto& error : parsed.errors) ADD_FAILURE() << sweeps::render(error);
    core::SubmitSweep command;
    command.resolved = parsed.sweep.resolved.dump();
    command.yaml = yaml;
    command.file = "small.yaml";
    command.expander_version = sweeps::kExpanderVersion;
    return std::get<core::Submitted>(give(std::move(command)));
  }

  WorkerNumber join(const std::string& uid = "uid-1", std::uint32_t slots = 2) {
    core::WorkerHello hello{uid, "host-" + uid, {{"cpu:0", "cpu", 1, slots, "model", 1 << 30}}, {}};
    return std::get<core::Joined>(give(std::move(hello))).worker;
  }

  void item(const core::SendAssign& assign, core::Item what) {
    give(core::ItemReceived{assign.worker, assign.fence, ++sequence_[{assign.fence.job, assign.fence.attempt}],
                            std::move(what)});
  }

  // Plays an assigned job to its end, with this objective.
  void finish(const core::SendAssign& assign, double objective) {
    item(assign, core::item::Started{assign.device, "base", "data", 0});
    if (core::phase_of(*state().job(assign.fence.job)) != core::Phase::running) return;  // its result is known
    item(assign, core::item::Report{1, 16, objective - 0.1});
    item(assign, core::item::Report{2, 32, objective});
    item(assign, core::item::Finished{result(objective).dump(), {{"adapter.safetensors", std::string(64, 'a'), 10}}});
  }

  static nlohmann::json result(double objective) {
    nlohmann::json rows = nlohmann::json::array();
    for (const int depth : {0, 2}) {
      rows.push_back({{"epoch", 2},
                      {"depth", depth},
                      {"split", "eval"},
                      {"metric", "accuracy"},
                      {"value", objective - 0.01 * depth},
                      {"primary", true}});
    }
    return {{"objective", objective}, {"epoch", 2},
            {"rows", rows},           {"steps", 32},
            {"seconds", 1.5},         {"attention", nlohmann::json::array()}};
  }

  // Ends everything that can be ended.
  void run_all() {
    while (!assigned.empty()) {
      const core::SendAssign next = assigned.front();
      assigned.pop_front();
      finish(next, 0.5 + 0.01 * static_cast<double>(next.fence.job.value()));
    }
  }

  void later(Millis time) {
    now_.mono += time;
    now_.wall += time;
    give(core::Tick{});
  }

  [[nodiscard]] const core::State& state() const { return core_.state(); }
  std::deque<core::SendAssign> assigned;
  std::deque<core::SendStop> stops;

 private:
  core::ResultsRead read(const core::ReadResults& wanted) {
    core::ResultsRead answer;
    for (const auto& one : wanted.wanted) {
      event::Event event;
      const Status found = store_.read(
          {one.seq}, [&](const store::EventRecord& record) { EXPECT_TRUE(event.ParseFromString(record.bytes)); });
      EXPECT_TRUE(found.ok());
      answer.results.push_back(core::result_in(one, &event));
    }
    return answer;
  }

  store::EventStore& store_;
  core::Core core_;
  core::Now now_{TimePoint(Millis(1000)), WallTime(Millis(1'700'000'000'000))};
  std::map<std::pair<JobNumber, std::uint32_t>, std::uint64_t> sequence_;
};

}  // namespace fathom::testing
