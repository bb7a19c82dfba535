// A job that was interrupted, or that had neighbours, gives the bits of an undisturbed one.
#include <gtest/gtest.h>

#include <map>

#include "tests/unit/trainer/engine_fixture.hpp"

namespace fathom::trainer::testing_support {
namespace {

class EngineResume : public EngineTest {
 protected:
  // Runs `job` until it has reported `epochs` checkpoints, drops it and lays its newest checkpoint for `next`.
  void interrupt_after(const std::string& job, const json& settings, std::size_t epochs, const std::string& next,
                       const json& inputs = json::object()) {
    const auto record = add(job, settings, inputs);
    while (record->checkpoints.size() < epochs && runner_->turn()) {
    }
    ASSERT_EQ(record->checkpoints.size(), epochs);
    runner_->turn();  // a step of the next epoch, lost like any work after the checkpoint
    runner_->stop(last_fence(), /*keep_best=*/false);
    fs::create_directories(folder(next));
    fs::copy(folder(job) / record->checkpoints.back(), folder(next) / "resume.ckpt");
    if (fs::exists(folder(job) / "inputs"))
      fs::copy(folder(job) / "inputs", folder(next) / "inputs", fs::copy_options::recursive);
  }
};

TEST_F(EngineResume, ResumedEqualsUndisturbedBitForBit) {
  for (const std::string kind : {"standard", "robust"}) {
    auto settings = adapter_settings();
    settings["recipe"] = kind == "robust" ? "hf" : "fast";
    if (kind == "robust") settings["drop"] = {{"kind", "robust"}, {"lo", 0}, {"hi", 3}};
    const auto straight = run("straight-" + kind, settings);
    for (const std::size_t epochs : {1, 2}) {
      const std::string next = kind + "-resumed-" + std::to_string(epochs);
      interrupt_after(kind + "-cut-" + std::to_string(epochs), settings, epochs, next);
      const auto resumed = run(next, settings);
      ASSERT_TRUE(resumed->finished()) << resumed->message;
      EXPECT_EQ(resumed->resumed_epoch, epochs);
      EXPECT_EQ(weights(next), weights("straight-" + kind));
      EXPECT_EQ(resumed->result["rows"], straight->result["rows"]);
      EXPECT_EQ(resumed->result["examples"], straight->result["examples"]);
    }
  }
}

TEST_F(EngineResume, SuspendedInsideAnEpochLosesNoStep) {
  const auto settings = adapter_settings();
  ASSERT_TRUE(run("straight", settings)->finished());
  // After the opening: inside the first epoch, at its last step before the evaluation, inside the second.
  for (const int passes : {1 + 3, 1 + 6, 1 + 6 + 1 + 2}) {
    const std::string cut = "suspended-" + std::to_string(passes), next = "continued-" + std::to_string(passes);
    const auto record = add(cut, settings);
    for (int pass = 0; pass < passes; ++pass) runner_->turn();
    runner_->suspend_all();
    ASSERT_EQ(record->order.back(), "checkpoint");
    EXPECT_NE(record->checkpoints.back().find("-step-"), std::string::npos);
    fs::create_directories(folder(next));
    fs::copy(folder(cut) / record->checkpoints.back(), folder(next) / "resume.ckpt");
    const auto resumed = run(next, settings);
    ASSERT_TRUE(resumed->finished()) << resumed->message;
    EXPECT_EQ(resumed->result["steps"], 18);
    EXPECT_EQ(weights(next), weights("straight"));
  }
}

TEST_F(EngineResume, NeighboursDoNotChangeABit) {
  const auto settings = adapter_settings();
  ASSERT_TRUE(run("alone", settings)->finished());
  auto other = adapter_settings();
  other.update({{"seed", 9}, {"drop", {{"kind", "robust"}, {"lo", 0}, {"hi", 3}}}});
  auto broken = adapter_settings();
  broken["train"]["lr"] = 1e30;
  add("neighbour", other);
  add("diverging", broken);
  const auto record = add("crowded", settings);
  run_all();
  ASSERT_TRUE(record->finished()) << record->message;
  EXPECT_EQ(weights("crowded"), weights("alone"));
  // Resumed among neighbours as well.
  interrupt_after("cut", settings, 1, "again");
  add("neighbour-2", other);
  add("again", settings);
  run_all();
  EXPECT_EQ(weights("again"), weights("alone"));
}

TEST_F(EngineResume, AResumeAfterTheLastEpochOnlyFinishes) {
  const auto settings = adapter_settings();
  const auto straight = run("straight", settings);
  fs::create_directories(folder("late"));
  fs::copy(folder("straight") / straight->checkpoints.back(), folder("late") / "resume.ckpt");
  const auto record = run("late", settings);
  EXPECT_EQ(record->order, (std::vector<std::string>{"started", "finished"}));
  EXPECT_EQ(weights("late"), weights("straight"));
}

TEST_F(EngineResume, AForeignOrBrokenCheckpointMeansFromTheStart) {
  const auto settings = adapter_settings();
  const auto straight = run("straight", settings);
  auto other = settings;
  other["seed"] = 2;
  const auto foreign = run("foreign", other);
  fs::create_directories(folder("with-foreign"));
  fs::copy(folder("foreign") / foreign->checkpoints.back(), folder("with-foreign") / "resume.ckpt");
  fs::create_directories(folder("with-broken"));
  std::ofstream(folder("with-broken") / "resume.ckpt") << "not a checkpoint";
  for (const std::string job : {"with-foreign", "with-broken"}) {
    const auto record = run(job, settings);
    ASSERT_TRUE(record->finished()) << record->message;
    EXPECT_EQ(record->resumed_epoch, 0U);
    EXPECT_NE(record->log.front().find("resume.ckpt"), std::string::npos);
    EXPECT_EQ(weights(job), weights("straight"));
  }
}

TEST_F(EngineResume, OldCheckpointsAreRemovedOnceANewerIsReported) {
  auto settings = adapter_settings();
  settings["train"]["epochs"] = 5;
  ASSERT_TRUE(run("long", settings)->finished());
  std::vector<std::string> left;
  for (const auto& entry : fs::directory_iterator(folder("long") / "checkpoints"))
    left.push_back(entry.path().filename().string());
  std::sort(left.begin(), left.end());
  EXPECT_EQ(left, (std::vector<std::string>{"epoch-4.ckpt", "epoch-5.ckpt"}));
}

// As `fathom extend --epochs` lays it: the last checkpoint of a job that was to train fewer epochs.
TEST_F(EngineResume, MoreEpochsAreThoseOfAJobThatWasToTrainThemAll) {
  const auto lay = [&](const std::string& from, const std::string& to) {
    fs::create_directories(folder(to));
    fs::copy(folder(from) / "checkpoints/epoch-3.ckpt", folder(to) / "resume.ckpt");
  };
  auto settings = adapter_settings();
  settings["drop"] = {{"kind", "robust"}, {"lo", 0}, {"hi", 3}};
  settings["train"].update({{"schedule", "constant"}, {"warmup", 4}, {"patience", 4}});
  ASSERT_TRUE(run("three", settings)->finished());
  settings["train"]["epochs"] = 5;
  const auto straight = run("five", settings);
  lay("three", "extended");
  const auto extended = run("extended", settings);
  ASSERT_TRUE(extended->finished()) << extended->message;
  EXPECT_EQ(extended->resumed_epoch, 3U);
  EXPECT_EQ(weights("extended"), weights("five"));
  for (const char* key : {"rows", "steps", "epoch", "examples"})
    EXPECT_EQ(extended->result[key], straight->result[key]);
  // Where the schedule runs over the epochs, every step would have been another one.
  for (const json& changes :
       {json{{"schedule", "linear"}, {"warmup", 4}}, json{{"schedule", "constant"}, {"warmup", 0.1}}}) {
    const std::string kind = changes["schedule"];
    settings["train"].update(changes);
    settings["train"]["epochs"] = 3;
    ASSERT_TRUE(run("three-" + kind, settings)->finished());
    settings["train"]["epochs"] = 5;
    lay("three-" + kind, "anew-" + kind);
    EXPECT_EQ(run("anew-" + kind, settings)->resumed_epoch, 0U) << kind;
  }
}

// Members of a population (`method: pbt`): one goes on from another's checkpoint with parameters of its own.
TEST_F(EngineResume, AMemberGoesOnFromAnotherOnesCheckpoint) {
  const json inputs = {{"explored", {"train.lr", "train.weight_decay"}}};
  auto donor = adapter_settings(), member = adapter_settings();
  donor["train"]["weight_decay"] = 0.01;
  member["train"]["lr"] = 2 * donor["train"]["lr"].get<double>();
  member["train"]["weight_decay"] = 0.0;
  const auto straight = run("straight", donor, inputs);
  // What is explored changes nothing while it stays as it was.
  interrupt_after("donor", donor, 1, "same", inputs);
  ASSERT_TRUE(run("same", donor, inputs)->finished());
  EXPECT_EQ(weights("same"), weights("straight"));
  interrupt_after("donor-again", donor, 1, "clone", inputs);
  const auto clone = run("clone", member, inputs);
  ASSERT_TRUE(clone->finished()) << clone->message;
  EXPECT_EQ(clone->resumed_epoch, 1U);
  EXPECT_EQ(clone->result["examples"], straight->result["examples"]);
  // The first loss after the donor's epoch is that of its weights, the next one is after another update.
  const auto losses = [](const Record& record) {
    std::map<std::uint64_t, double> out;
    for (const auto& point : record.metrics) {
      if (point.name == "train/loss") out[point.step] = point.value;
    }
    return out;
  };
  const auto expected = losses(*straight), got = losses(*clone);
  const auto first = got.begin()->first, last = got.rbegin()->first;
  ASSERT_GT(first, 1U);
  EXPECT_EQ(got.at(first), expected.at(first));
  EXPECT_NE(got.at(first + 1), expected.at(first + 1));
  // Twice the same, and not what its settings give from the start.
  interrupt_after("donor-once-more", donor, 1, "clone-again", inputs);
  EXPECT_EQ(losses(*run("clone-again", member, inputs)), got);
  EXPECT_EQ(weights("clone"), weights("clone-again"));
  EXPECT_NE(losses(*run("fresh", member, inputs)).at(last), got.at(last));
}

TEST_F(EngineResume, ACheckpointThatDiffersInMoreThanWhatIsExploredIsNotUsed) {
  const json rate = {{"explored", {"train.lr"}}};
  auto other = adapter_settings();
  other["train"]["lr"] = 2 * other["train"]["lr"].get<double>();
  interrupt_after("plain", adapter_settings(), 1, "unasked");
  EXPECT_EQ(run("unasked", other)->resumed_epoch, 0U);
  interrupt_after("asked", adapter_settings(), 1, "decay", rate);
  other["train"]["weight_decay"] = 0.5;
  EXPECT_EQ(run("decay", other, rate)->resumed_epoch, 0U);
  const auto wrong = run("wrong", adapter_settings(), {{"explored", {"train.batch"}}});
  EXPECT_FALSE(wrong->finished());
  EXPECT_NE(wrong->message.find("explored"), std::string::npos) << wrong->message;
}

}  // namespace
}  // namespace fathom::trainer::testing_support
