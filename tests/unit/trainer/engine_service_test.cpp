// The trainer as the worker sees it: frames over a socketpair.
#include <gtest/gtest.h>

#include <sstream>
#include <thread>

#include "common/protocol/channel.hpp"
#include "common/protocol/fences.hpp"
#include "common/protocol/wire.pb.h"
#include "tests/unit/trainer/engine_fixture.hpp"
#include "trainer/engine/predict.hpp"
#include "trainer/engine/service.hpp"

namespace fathom::trainer::testing_support {
namespace {

class EngineService : public EngineTest {
 protected:
  EngineService() {
    auto pair = make_socket_pair();
    if (!pair) throw std::runtime_error(pair.error().message);
    worker_ = std::make_unique<FrameChannel>(pair->ours);
    service_ = std::thread([this, fd = pair->theirs] { exit_code_ = serve({fd, "cpu", "test", root_}); });
  }
  ~EngineService() override {
    if (worker_) worker_->shutdown();
    if (service_.joinable()) service_.join();
  }

  void send_job(std::uint64_t number, const json& settings) {
    wire::Envelope envelope;
    auto* job = envelope.mutable_trainer_job();
    *job->mutable_assign()->mutable_fence() = to_wire(fence(number));
    job->mutable_assign()->set_settings(settings.dump());
    job->mutable_assign()->set_device("cpu:0");
    job->set_folder(folder("job-" + std::to_string(number)).string());
    fs::create_directories(job->folder());
    ASSERT_TRUE(worker_->send(envelope).ok());
  }

  // The next frame of that kind; others are counted and dropped.
  wire::Envelope next(wire::Envelope::BodyCase kind) {
    for (int tries = 0; tries < 600; ++tries) {
      auto frame = worker_->receive(Millis(100));
      if (!frame) throw std::runtime_error(frame.error().message);
      if (!frame->has_value()) continue;
      ++seen_[(*frame)->body_case()];
      if ((*frame)->has_metrics()) points_ += (*frame)->metrics().points_size();
      if ((*frame)->body_case() == kind) return std::move(**frame);
    }
    throw std::runtime_error("no such frame in time");
  }
  // Reads items of a job until one of the kind comes.
  wire::Item next_item(std::uint64_t number, wire::Item::WhatCase kind) {
    for (;;) {
      const auto envelope = next(wire::Envelope::kItems);
      for (const auto& item : envelope.items().items()) {
        if (item.fence().job() == number && item.what_case() == kind) return item;
      }
    }
  }

  std::unique_ptr<FrameChannel> worker_;
  std::thread service_;
  int exit_code_ = -1;
  std::map<int, int> seen_;
  int points_ = 0;
};

TEST_F(EngineService, GreetsRunsAJobAndEndsWithItsSocket) {
  const auto hello = next(wire::Envelope::kTrainerHello);
  EXPECT_EQ(hello.trainer_hello().protocol(), kProtocolVersion);
  send_job(7, adapter_settings());
  EXPECT_EQ(next_item(7, wire::Item::kStarted).started().device(), "cpu:0");
  const auto checkpoint = next_item(7, wire::Item::kCheckpoint).checkpoint();
  EXPECT_EQ(checkpoint.path(), "checkpoints/epoch-1.ckpt");
  EXPECT_TRUE(fs::exists(folder("job-7") / checkpoint.path()));
  const auto finished = next_item(7, wire::Item::kFinished);
  EXPECT_EQ(json::parse(finished.finished().result())["epochs"], 3);
  EXPECT_GT(points_, 18);  // gathered points came before the last item
  EXPECT_TRUE(next(wire::Envelope::kAlive).has_alive());
  worker_->shutdown();
  service_.join();
  EXPECT_EQ(exit_code_, 0);
}

TEST_F(EngineService, TwoJobsTakeTurnsAndAStopReachesItsJob) {
  auto endless = adapter_settings();
  endless["train"]["epochs"] = 100000;
  send_job(1, endless);
  next_item(1, wire::Item::kReport);
  send_job(2, adapter_settings());
  next_item(2, wire::Item::kFinished);
  wire::Envelope stop;
  *stop.mutable_stop()->mutable_fence() = to_wire(fence(1));
  stop.mutable_stop()->set_cause("search");
  ASSERT_TRUE(worker_->send(stop).ok());
  const auto stopped = next_item(1, wire::Item::kStopped).stopped();
  EXPECT_FALSE(stopped.result().empty());
  EXPECT_TRUE(fs::exists(folder("job-1") / "final/fathom.json"));
}

TEST_F(EngineService, ShutdownEndsIt) {
  auto endless = adapter_settings();
  endless["train"]["epochs"] = 100000;
  send_job(1, endless);
  next_item(1, wire::Item::kCheckpoint);
  wire::Envelope envelope;
  envelope.mutable_shutdown()->set_checkpoint_first(true);
  ASSERT_TRUE(worker_->send(envelope).ok());
  service_.join();
  EXPECT_EQ(exit_code_, 0);
}

TEST_F(EngineTest, PredictClassifiesWithAFinalTree) {
  ASSERT_TRUE(run("one", adapter_settings())->finished());
  PredictOptions options;
  options.model = root_ / "models/tiny";
  options.adapters = {folder("one") / "final"};
  options.texts = {"good fine lovely film", "awful dull bad plot"};
  options.json = true;
  std::ostringstream out;
  ASSERT_EQ(predict(options, out), 0);
  std::istringstream lines(out.str());
  std::string first, second;
  std::getline(lines, first);
  std::getline(lines, second);
  const auto good = json::parse(first), bad = json::parse(second);
  EXPECT_EQ(good["label"], "pos");
  EXPECT_EQ(bad["label"], "neg");
  EXPECT_EQ(good["text"], "good fine lovely film");
  EXPECT_NEAR(good["probabilities"]["pos"].get<double>() + good["probabilities"]["neg"].get<double>(), 1.0, 1e-6);
  EXPECT_EQ(good["logits"].size(), 2U);
  options.depths = {9};
  EXPECT_EQ(predict(options, out), 1);
}

// Accuracy of the table is that of the result, to the last row.
TEST_F(EngineTest, PredictWritesATableOfASplit) {
  const auto record = run("one", adapter_settings());
  ASSERT_TRUE(record->finished()) << record->message;
  PredictOptions options;
  options.model = root_ / "models/tiny";
  options.adapters = {folder("one") / "final"};
  options.split = "dev";
  options.root = root_;
  options.out = root_ / "table.tsv";
  std::ostringstream out;
  ASSERT_EQ(predict(options, out), 0);
  EXPECT_EQ(out.str(), "");
  const auto read = [&] {
    std::vector<std::vector<std::string>> rows;
    std::ifstream file(options.out);
    for (std::string line; std::getline(file, line);) {
      auto& row = rows.emplace_back();
      std::istringstream cells(line);
      for (std::string cell; std::getline(cells, cell, '\t');) row.push_back(cell);
    }
    return rows;
  };
  auto rows = read();
  ASSERT_EQ(rows.size(), 25U);
  EXPECT_EQ(rows[0], (std::vector<std::string>{"row", "predicted", "gold", "p.neg", "p.pos"}));
  int right = 0;
  for (std::size_t i = 1; i < rows.size(); ++i) {
    EXPECT_EQ(rows[i][0], std::to_string(i - 1));
    EXPECT_EQ(rows[i][1] == "pos", std::stod(rows[i][4]) > 0.5);
    right += rows[i][1] == rows[i][2] ? 1 : 0;
  }
  EXPECT_EQ(right / 24.0, record->result["objective"].get<double>());
  options.split = "test";
  EXPECT_EQ(predict(options, out), 1);  // there is none
  std::ofstream(root_ / "toy/test.tsv") << "text\ngood fine lovely film\n";
  ASSERT_EQ(predict(options, out), 0);
  rows = read();
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0], (std::vector<std::string>{"row", "predicted", "p.neg", "p.pos"}));
  EXPECT_EQ(rows[1][1], "pos");
}

}  // namespace
}  // namespace fathom::trainer::testing_support
