// Messages to webhooks in the core: made by what happens, open until they are settled, over restarts and snapshots.
#include <nlohmann/json.hpp>

#include "tests/unit/coordinator/core_rig.hpp"

namespace fathom::core::test {
namespace {

using nlohmann::json;

sweeps::Plan of_jobs(int count, std::vector<sweeps::Hook> hooks) {
  Planner make;
  make.stage("adapter", sweeps::Kind::adapter);
  for (int i = 0; i < count; ++i) make.adapter("a", 0.001 * (i + 1));
  make.plan.retry.max = 0;
  make.plan.notify = std::move(hooks);
  return make.plan;
}

const sweeps::Hook kAll = {{"done", "failed", "cancelled", "job_failed"}, "https://example.org/", ""};
const sweeps::Hook kDone = {{"done"}, "${env:HOOK_URL}", "${env:HOOK_SECRET}"};

std::vector<SendNotice> sent(const Step& step) {
  std::vector<SendNotice> out;
  for (const Effect& effect : step.effects) {
    if (const auto* notice = std::get_if<SendNotice>(&effect)) out.push_back(*notice);
  }
  return out;
}

struct CoreNotices : ::testing::Test {
  Rig rig;
};

TEST_F(CoreNotices, EachHookIsToldWhatItWantsToKnow) {
  FakeWorker& worker = rig.worker("w", {1});
  rig.submit(of_jobs(1, {kAll, kDone, {{"failed"}, "https://example.com/", ""}}));
  worker.started(rig.number(0));
  const auto told = sent(worker.finish(rig.number(0), 0.5));
  ASSERT_EQ(told.size(), 2u);
  EXPECT_EQ(told[0].hook.webhook, kAll.webhook);
  EXPECT_EQ(told[1].hook.secret, "${env:HOOK_SECRET}");  // a reference: nothing here knows its value
  const json body = json::parse(told[1].body);
  EXPECT_EQ(body.at("event"), "done");
  EXPECT_EQ(body.at("sweep").at("counts"), (json{{"succeeded", 1}}));
  EXPECT_NE(told[0].notice, told[1].notice);
}

TEST_F(CoreNotices, AMessageIsOpenUntilItIsSettledWhateverHappens) {
  FakeWorker& worker = rig.worker("w", {1});
  rig.submit(of_jobs(1, {kDone}));
  worker.started(rig.number(0));
  const auto told = sent(worker.finish(rig.number(0), 0.5));
  ASSERT_EQ(told.size(), 1u);
  for (const bool from_snapshot : {false, true}) {
    if (from_snapshot) rig.take_snapshot();
    rig.restart();
    ASSERT_EQ(rig.state().notices.size(), 1u) << from_snapshot;
    EXPECT_EQ(rig.state().notices.begin()->first, told[0].notice);
  }
  EXPECT_TRUE(sent(rig.give(Tick{})).empty());  // once a start
  rig.give(SettleNotice{told[0].notice, true});
  EXPECT_TRUE(rig.state().notices.empty());
  const std::uint64_t seq = rig.state().seq;
  rig.give(SettleNotice{told[0].notice, true});  // again: nothing to say
  EXPECT_EQ(rig.state().seq, seq);
  rig.restart();
  EXPECT_TRUE(rig.state().notices.empty());
}

TEST_F(CoreNotices, TheFirstFailureIsToldOnceAndAgainAfterARetry) {
  FakeWorker& worker = rig.worker("w", {1});
  rig.submit(of_jobs(3, {kAll}));
  std::vector<std::string> told;
  const auto fail = [&](sweeps::JobIndex index) {
    worker.started(rig.number(index));
    for (const SendNotice& notice : sent(worker.fail(rig.number(index), "data")))
      told.push_back(json::parse(notice.body).at("event"));
  };
  for (sweeps::JobIndex i = 0; i < 3; ++i) fail(i);
  EXPECT_EQ(told, (std::vector<std::string>{"job_failed", "failed"}));
  rig.give(RetrySweep{rig.sweep().number});
  fail(0);
  EXPECT_EQ(told.back(), "job_failed");
  EXPECT_EQ(rig.state().notices.size(), 3u);
  std::string text;
  for (const SendNotice& notice : sent(rig.give(CancelSweep{rig.sweep().number}))) text = notice.body;
  worker.stopped(rig.number(1), 0.5);
  EXPECT_FALSE(rig.sweep().outcome.empty());
}

}  // namespace
}  // namespace fathom::core::test
