// The file of sweeps that ended.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "coordinator/core/event.pb.h"
#include "coordinator/store/sweep_shelf.hpp"
#include "sweeps/sweep.hpp"
#include "tests/unit/coordinator/store_testing.hpp"

namespace fathom::store {
namespace {

constexpr const char* kText = R"(
version: 1
name: one
model: {path: models/none}
tasks: {a: {data: {train: a.tsv, eval: b.tsv}, text: text, label: label, metric: accuracy}}
stages: {adapter: {}}
)";

class SweepShelfTest : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    auto events = open_event_store(folder_ / "events.db", {});
    ASSERT_TRUE(events.ok()) << events.error().message;
    events_ = std::move(*events);
    auto shelf = open_sweep_shelf(GetParam() ? std::filesystem::path() : folder_.path(), *events_);
    ASSERT_TRUE(shelf.ok()) << shelf.error().message;
    shelf_ = *shelf;
  }
  void append(const event::Event& event) {
    fathom::testing::Waiter waiter;
    std::atomic<bool> durable = false;
    events_->append({{event.seq(), event.SerializeAsString()}}, [&](const Status& status) {
      durable = status.ok();
      waiter.notify();
    });
    ASSERT_TRUE(waiter.until([&] { return durable.load(); }));
  }
  fathom::testing::TempFolder folder_;
  std::unique_ptr<EventStore> events_;
  std::shared_ptr<core::Shelf> shelf_;
};

TEST_P(SweepShelfTest, GivesBackWhatItWasGivenAndLeavesNoFile) {
  const std::string large(3'000'000, 'x');
  const auto one = shelf_->put("one"), two = shelf_->put(large), none = shelf_->put("");
  ASSERT_TRUE(one.ok() && two.ok() && none.ok());
  EXPECT_EQ(*shelf_->get(*two), large);
  EXPECT_EQ(*shelf_->get(*one), "one");
  shelf_->drop(*one);
  EXPECT_FALSE(shelf_->get(*one).ok());
  EXPECT_EQ(*shelf_->get(*two), large);
  shelf_->drop(*two);
  EXPECT_FALSE(shelf_->get(*two).ok());
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path()))
    EXPECT_TRUE(entry.path().filename().string().starts_with("events.db")) << entry.path();
}

TEST_P(SweepShelfTest, KnowsThePlansOfSubmitsThatAreDurable) {
  EXPECT_FALSE(shelf_->has_plan(0));
  EXPECT_FALSE(shelf_->has_plan(1));
  event::Event event;
  event.set_seq(1);
  event.mutable_coordinator_started()->set_epoch(1);
  append(event);
  event.Clear();
  event.set_seq(2);
  auto* submitted = event.mutable_sweep_submitted();
  const sweeps::ParseResult parsed = sweeps::parse(kText, {});
  ASSERT_FALSE(parsed.sweep.resolved.is_null());
  submitted->set_resolved(parsed.sweep.resolved.dump());
  submitted->set_expander_version(sweeps::kExpanderVersion);
  append(event);
  EXPECT_TRUE(shelf_->has_plan(2));
  const auto plan = shelf_->plan(2);
  ASSERT_TRUE(plan.ok()) << plan.error().message;
  EXPECT_EQ((*plan)->name, "one");
  EXPECT_FALSE(shelf_->plan(1).ok());
  EXPECT_FALSE(shelf_->plan(3).ok());
}

INSTANTIATE_TEST_SUITE_P(Folders, SweepShelfTest, ::testing::Bool());

}  // namespace
}  // namespace fathom::store
