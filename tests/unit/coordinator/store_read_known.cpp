// Jobs in the tables whose results were known.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "coordinator/store/read_model.hpp"
#include "tests/unit/coordinator/store_driver.hpp"
#include "tests/unit/coordinator/store_testing.hpp"

namespace fathom::store {
namespace {

using nlohmann::json;

json jobs_of(ReadModel& model, const std::string& sweep) {
  JobsQuery all;
  all.page.limit = 1000;
  return model.jobs(sweep, all).value()["items"];
}

TEST(ReadModel, KnownResultsAreShownWithWhereTheyComeFrom) {
  const fathom::testing::TempFolder folder;
  MemoryEventStore events;
  fathom::testing::CoreDriver driver(events);
  const auto model = open_read_model(folder / "readmodel.db", events).value();
  const auto follow = [&] {
    model->notify(events.last_durable());
    ASSERT_TRUE(model->wait_for(events.last_durable(), Millis(10000)).ok());
  };
  const core::Submitted first = driver.submit();
  driver.join();
  driver.run_all();
  follow();
  const json before = jobs_of(*model, first.id);
  const core::Submitted again = driver.submit();
  driver.run_all();
  follow();
  const json sweep = model->sweep(again.id).value();
  EXPECT_EQ(sweep["state"], "succeeded");
  EXPECT_EQ(sweep["reused"], again.jobs);
  EXPECT_EQ(sweep["counts"], json({{"succeeded", again.jobs}}));
  EXPECT_EQ(model->sweep(first.id).value()["reused"], 0);
  const json taken = jobs_of(*model, again.id);
  ASSERT_EQ(taken.size(), before.size());
  for (std::size_t i = 0; i < taken.size(); ++i) {
    EXPECT_EQ(taken[i]["objective"], before[i]["objective"]);
    EXPECT_EQ(taken[i]["epoch"], before[i]["epoch"]);
    EXPECT_EQ(taken[i]["source"], first.id);
  }
  EXPECT_EQ(jobs_of(*model, first.id), before) << "what is taken leaves the rows that it is taken from as they were";
}

}  // namespace
}  // namespace fathom::store
