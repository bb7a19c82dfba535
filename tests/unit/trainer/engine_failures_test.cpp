// A job fails alone, with a class and a sentence; a stopped job leaves its best model.
#include <gtest/gtest.h>

#include "tests/unit/trainer/engine_fixture.hpp"
#include "trainer/engine/errors.hpp"

namespace fathom::trainer::testing_support {
namespace {

class EngineFailures : public EngineTest {
 protected:
  void expect_failure(const json& settings, const std::string& error_class, const std::string& part,
                      const json& inputs = json::object()) {
    const auto record = run("failing-" + std::to_string(next_job_), settings, inputs);
    ASSERT_FALSE(record->order.empty());
    EXPECT_EQ(record->order.back(), "failed") << settings.dump();
    EXPECT_EQ(record->error_class, error_class) << record->message;
    EXPECT_NE(record->message.find(part), std::string::npos) << record->message;
  }
};

TEST_F(EngineFailures, SettingsThatCannotBe) {
  auto settings = adapter_settings();
  settings["kind"] = "serve";
  expect_failure(settings, "config", "adapter, fusion, prune, evaluate, finetune and benchmark");
  settings["kind"] = "benchmark";
  expect_failure(settings, "config", "benchmark is missing");
  settings = adapter_settings();
  settings["train"].erase("lr");
  expect_failure(settings, "config", "train.lr is missing");
  settings = adapter_settings();
  settings["train"]["schedule"] = "linaer";
  expect_failure(settings, "config", "linear, cosine, constant");
  settings = adapter_settings();
  settings["drop"] = {{"kind", "specialized"}, {"n", 4}};
  expect_failure(settings, "config", "4 layers");
  settings = adapter_settings();
  settings["train"]["max_length"] = 64;
  expect_failure(settings, "config", "max_length");
  settings = adapter_settings();
  settings["task"]["metric"] = "spearmint";
  expect_failure(settings, "config", "spearmint");
  settings = adapter_settings();
  settings["keep_best"] = 21;
  expect_failure(settings, "config", "keep_best must be at most 20");
  settings = adapter_settings();
  settings["adapter"]["config"] = "seq_bnn";
  expect_failure(settings, "config", "seq_bnn");
}

TEST_F(EngineFailures, MissingModelDataAndInputs) {
  auto settings = adapter_settings();
  settings["model"]["path"] = "models/absent";
  expect_failure(settings, "model", "absent");
  settings["model"]["path"] = "../elsewhere";
  expect_failure(settings, "config", "elsewhere");
  settings = adapter_settings();
  settings["task"]["train"] = "toy/absent.tsv";
  expect_failure(settings, "data", "absent.tsv");
  settings = adapter_settings();
  settings["task"]["label"] = "sentiment";
  expect_failure(settings, "data", "sentiment");
  settings = adapter_settings();
  settings["kind"] = "evaluate";
  settings["evaluate"] = {{"depths", "all"}};
  expect_failure(settings, "config", "source");
  expect_failure(settings, "model", "fathom.json", {{"source", {{"job", "0"}, {"folder", "inputs/source"}}}});
}

TEST_F(EngineFailures, TokenizerLargerThanTheEmbeddings) {
  fs::copy(root_ / "models/tiny", root_ / "models/short", fs::copy_options::recursive);
  std::ofstream(root_ / "models/short/vocab.txt", std::ios::app) << "one\nmore\n";
  auto settings = adapter_settings();
  settings["model"]["path"] = "models/short";
  expect_failure(settings, "model", "23");
}

TEST_F(EngineFailures, TruncatedWeights) {
  fs::copy(root_ / "models/tiny", root_ / "models/cut", fs::copy_options::recursive);
  fs::resize_file(root_ / "models/cut/model.safetensors", 5000);
  auto settings = adapter_settings();
  settings["model"]["path"] = "models/cut";
  expect_failure(settings, "model", "model.safetensors");
}

TEST_F(EngineFailures, DivergedWhenTheLossIsNoNumber) {
  auto settings = adapter_settings();
  settings["train"].update({{"lr", 1e30}, {"clip", 0}, {"warmup", 0}});
  expect_failure(settings, "diverged", "train.lr");
}

TEST_F(EngineFailures, ClassesOfExceptions) {
  const auto class_of = [](const auto& thrown) {
    return std::string(name_of(failure_of(std::make_exception_ptr(thrown)).error_class));
  };
  EXPECT_EQ(class_of(std::bad_alloc()), "oom");
  EXPECT_EQ(class_of(std::logic_error("x")), "internal");
  EXPECT_EQ(class_of(JobError(ErrorClass::disk, "full")), "disk");
  EXPECT_EQ(class_of(c10::Error({"", "", 0}, "DefaultCPUAllocator: can't allocate memory")), "oom");
}

TEST_F(EngineFailures, SettingsThatAreNotJson) {
  auto record = std::make_shared<Record>();
  runner_->add(fence(50), {"{", "", folder("x")}, std::make_unique<RecordingEvents>(record));
  EXPECT_EQ(record->error_class, "config");
  EXPECT_TRUE(runner_->running().empty());
}

TEST_F(EngineFailures, StoppedBySearchKeepsTheBestEpoch) {
  const auto record = add("stopped", adapter_settings());
  while (record->reports.size() < 2 && runner_->turn()) {
  }
  runner_->turn();
  runner_->stop(last_fence(), /*keep_best=*/true);
  EXPECT_EQ(record->order.back(), "stopped");
  EXPECT_EQ(record->result["epochs"], 2);
  EXPECT_TRUE(fs::exists(folder("stopped") / "final/adapter.safetensors"));
  EXPECT_TRUE(runner_->running().empty());
}

TEST_F(EngineFailures, StoppedBeforeTheFirstEpochHasNoResult) {
  const auto record = add("stopped", adapter_settings());
  runner_->turn();
  runner_->turn();
  runner_->stop(last_fence(), /*keep_best=*/true);
  EXPECT_EQ(record->order.back(), "stopped");
  EXPECT_TRUE(record->result.is_null());
  EXPECT_FALSE(fs::exists(folder("stopped") / "final"));
}

}  // namespace
}  // namespace fathom::trainer::testing_support
