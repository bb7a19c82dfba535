// A data root with a tiny random BERT and a task that can be learnt, and events that are remembered: for engine tests.
// Everything lives in a temporary folder that is removed at the end.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "trainer/engine/resources.hpp"
#include "trainer/engine/runner.hpp"

namespace fathom::trainer::testing_support {

namespace fs = std::filesystem;
using nlohmann::json;

// A BERT of 4 layers, hidden 16, with the words of the demo task as its vocabulary; written as Hugging Face folder.
void write_tiny_model(const fs::path& folder);

// train.tsv (48 rows) and dev.tsv (24 rows): texts full of good words are "pos", of bad words "neg".
void write_tiny_task(const fs::path& folder);

// What one job said. Shared with the test, which outlives the runner's copy.
struct Record {
  std::vector<std::string> order;  // names of the calls
  std::vector<std::pair<std::uint32_t, double>> reports;
  std::vector<std::string> checkpoints;
  std::vector<MetricPoint> metrics;
  std::vector<std::string> log;
  json result;  // of Finished or Stopped
  std::string error_class, message;
  std::uint32_t resumed_epoch = 0;
  [[nodiscard]] bool finished() const { return !order.empty() && order.back() == "finished"; }
};

class RecordingEvents final : public JobEvents {
 public:
  explicit RecordingEvents(std::shared_ptr<Record> record) : record_(std::move(record)) {}
  void started(const std::string&, const std::string&, std::uint32_t resumed_epoch) override;
  void report(std::uint32_t epoch, std::uint64_t, double objective) override;
  void checkpoint(std::uint32_t, std::uint64_t, const std::string& path, double, bool) override;
  void metric(const MetricPoint& point) override { record_->metrics.push_back(point); }
  void log(const std::string& line) override { record_->log.push_back(line); }
  void finished(const std::string& result) override;
  void stopped(std::uint32_t, std::uint64_t, const std::string& result) override;
  void failed(const std::string& error_class, const std::string& message, std::uint64_t) override;

 private:
  std::shared_ptr<Record> record_;
};

// Root, resources and a runner. Jobs get folders root/jobs/NAME.
class EngineTest : public ::testing::Test {
 protected:
  EngineTest();
  ~EngineTest() override;

  // Settings of a small adapter job: 2 epochs, batch 8, dropout active.
  [[nodiscard]] static json adapter_settings(const std::string& name = "toy");
  // Settings of a fusion of "a" and "b" for the task "a": 1 epoch.
  [[nodiscard]] static json fusion_settings();
  // Final trees of two adapters, laid as the inputs of the fusion `job`; the inputs' JSON.
  json make_members(const std::string& job);
  // The final tree of `from`, laid as the source of `job`; the inputs' JSON.
  json lay_source(const std::string& from, const std::string& job);
  [[nodiscard]] fs::path folder(const std::string& job) const { return root_ / "jobs" / job; }
  // Adds the job to the runner under a number of its own.
  std::shared_ptr<Record> add(const std::string& job, const json& settings, const json& inputs = json::object());
  // Adds it and runs everything to the end.
  std::shared_ptr<Record> run(const std::string& job, const json& settings, const json& inputs = json::object());
  void run_all() {
    while (runner_->turn()) {
    }
  }
  [[nodiscard]] Fence last_fence() const { return fence(next_job_ - 1); }
  [[nodiscard]] static Fence fence(std::uint64_t number) { return {JobNumber(number), 1, 1, LeaseId(number)}; }
  // The bytes of every weight file of a final tree.
  [[nodiscard]] std::string weights(const std::string& job) const;

  fs::path root_;
  std::unique_ptr<Resources> resources_;
  std::unique_ptr<Runner> runner_;
  std::uint64_t next_job_ = 1;
};

}  // namespace fathom::trainer::testing_support
