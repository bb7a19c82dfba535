// What happened to a job, as it is told from numbers in the tables and events in the log.
#include "coordinator/store/job_history.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "coordinator/store/read_model.hpp"
#include "tests/unit/coordinator/store_driver.hpp"
#include "tests/unit/coordinator/store_testing.hpp"

namespace fathom::store {
namespace {

using fathom::testing::CoreDriver;
using fathom::testing::TempFolder;
using nlohmann::json;
using ::testing::ElementsAre;

TEST(JobHistory, OfReportsAnAttemptNeedsTheLast) {
  std::string text;
  for (const HistoryEntry& entry : {HistoryEntry{Step::granted, 3},
                                    {Step::started, 5},
                                    {Step::report, 9},
                                    {Step::report, 1000000007},
                                    {Step::end, 1000000008},
                                    {Step::other, 1000000011},
                                    {Step::granted, 1000000012},
                                    {Step::report, 1000000013}}) {
    add_to_history(text, entry);
  }
  EXPECT_EQ(text, "g3s5r9r1000000007e1000000008o1000000011g1000000012r1000000013");
  EXPECT_THAT(attempt_seqs(parse_history(text)), ElementsAre(3, 5, 1000000007, 1000000008, 1000000012, 1000000013));
  EXPECT_EQ(parse_history(text).size(), 8u);
  EXPECT_TRUE(parse_history("").empty());
  EXPECT_EQ(parse_history("g12s").size(), 1u) << "what cannot be read ends it";
}

class HistoryTest : public ::testing::Test {
 protected:
  HistoryTest() : driver_(events_), model_(open_read_model(folder_ / "readmodel.db", events_).value()) {
    driver_.submit();
    driver_.join();
  }
  void follow() {
    model_->notify(events_.last_durable());
    ASSERT_TRUE(model_->wait_for(events_.last_durable(), Millis(10000)).ok());
  }
  // All pages.
  std::vector<json> told(const std::string& job, std::uint32_t limit = 1000) {
    std::vector<json> all;
    Page page{limit, ""};
    while (true) {
      const json part = model_->job_events("small", job, page).value();
      for (const json& item : part["items"]) all.push_back(item);
      if (part["next"].is_null()) {
        EXPECT_EQ(part["total"], all.size());
        return all;
      }
      page.cursor = part["next"];
    }
  }
  std::vector<std::string> types(const std::string& job) {
    std::vector<std::string> all;
    for (const json& item : told(job)) all.push_back(item["type"]);
    return all;
  }

  TempFolder folder_;
  MemoryEventStore events_;
  CoreDriver driver_;
  std::unique_ptr<ReadModel> model_;
};

TEST_F(HistoryTest, ALongOneIsWholeAndInOrder) {
  const core::SendAssign job = driver_.assigned.front();
  driver_.item(job, core::item::Started{"cpu:0", "base", "data", 0});
  constexpr std::uint32_t kReports = 400;
  for (std::uint32_t i = 1; i <= kReports; ++i) {
    driver_.item(job, core::item::Report{i, i * 16, 0.5});
    if (i % 60 == 0) follow();
  }
  follow();
  const auto all = told(job.job_id, 37);
  ASSERT_EQ(all.size(), kReports + 2);  // the lease and the start
  for (std::size_t i = 1; i < all.size(); ++i) EXPECT_LT(all[i - 1]["seq"], all[i]["seq"]);
  EXPECT_EQ(all.back()["text"], "epoch 400, step 6400: 0.5");
  const json attempts = model_->job("small", job.job_id).value()["attempts"];
  ASSERT_EQ(attempts.size(), 1u);
  EXPECT_EQ(attempts[0]["epoch"], kReports);
  EXPECT_EQ(attempts[0]["outcome"], "running");
  EXPECT_EQ(attempts[0]["base_sha256"], "base");
  EXPECT_TRUE(attempts[0]["ended"].is_null());
}

TEST_F(HistoryTest, EachAttemptHasItsOwnEnd) {
  const core::SendAssign first = driver_.assigned.front();
  driver_.item(first, core::item::Started{"cpu:0", "base", "data", 0});
  driver_.item(first, core::item::Report{1, 16, 0.5});
  driver_.later(Millis(60000));  // its lease expires
  driver_.later(Millis(600000));
  driver_.run_all();
  follow();
  const json attempts = model_->job("small", first.job_id).value()["attempts"];
  ASSERT_EQ(attempts.size(), 2u);
  EXPECT_EQ(attempts[0]["outcome"], "expired");
  EXPECT_EQ(attempts[0]["text"], "its worker was not heard of in time");
  EXPECT_EQ(attempts[0]["epoch"], 1);
  EXPECT_LT(attempts[0]["granted"], attempts[0]["ended"]);
  EXPECT_EQ(attempts[1]["outcome"], "succeeded");
  EXPECT_EQ(attempts[1]["attempt"], 2);
  EXPECT_EQ(attempts[1]["epoch"], 2);
  EXPECT_EQ(attempts[1]["worker"], "host-uid-1");
}

TEST_F(HistoryTest, EventsOfManyJobsAreInTheHistoryOfEach) {
  const std::string waiting = driver_.state().planned(driver_.state().sweeps.front().jobs[7]).id.text();
  driver_.give(core::CancelSweep{SweepNumber(1), "not today"});
  follow();
  EXPECT_THAT(types(waiting), ElementsAre("sweep_cancel_requested"));
  EXPECT_EQ(told(waiting)[0]["text"], "not today");
  for (const core::SendStop& stop : std::deque(driver_.stops)) {
    for (const core::SendAssign& assign : std::deque(driver_.assigned)) {
      if (assign.fence == stop.fence) driver_.item(assign, core::item::Stopped{0, 0, "", {}});
    }
  }
  driver_.give(core::RerunJob{JobNumber(8)});
  follow();
  EXPECT_EQ(types(waiting)[1], "jobs_reopened");
}

// Few of a sweep's jobs are in most states, many in some: both ways of looking give the same.
TEST_F(HistoryTest, JobsAreFoundByAnyStates) {
  driver_.finish(driver_.assigned.front(), 0.8);
  driver_.give(core::CancelSweep{SweepNumber(1)});
  follow();
  const auto count = [&](const char* states) {
    JobsQuery query;
    query.state = states;
    query.sort = "task";
    const json page = model_->jobs("small", query).value();
    EXPECT_EQ(page["total"], page["items"].size()) << states;
    query.q = "small-has-no-such-text";
    EXPECT_EQ(model_->jobs("small", query).value()["total"], 0) << states;
    return page["items"].size();
  };
  const std::size_t jobs = driver_.state().jobs();
  EXPECT_EQ(count("cancelled") + count("stopping") + 1, jobs);
  EXPECT_EQ(count("cancelled,stopping") + 1, jobs);
  EXPECT_EQ(count("succeeded,cancelled,stopping"), jobs);
  EXPECT_EQ(count("succeeded"), 1u);
  EXPECT_EQ(count("failed"), 0u);
}

}  // namespace
}  // namespace fathom::store
