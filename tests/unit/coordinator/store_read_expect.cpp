// Reading one's own write from tables that follow.
#include <gtest/gtest.h>

#include <thread>

#include <nlohmann/json.hpp>

#include "coordinator/store/read_model.hpp"
#include "tests/unit/coordinator/store_driver.hpp"
#include "tests/unit/coordinator/store_testing.hpp"

namespace fathom::store {
namespace {

TEST(ReadModel, WhoAsksForWhatSomebodyWasToldOfWaitsForIt) {
  const fathom::testing::TempFolder folder;
  MemoryEventStore events;
  fathom::testing::CoreDriver driver(events);
  const auto model = open_read_model(folder / "readmodel.db", events).value();
  // The driver's first event is there when the model is made: what comes after it is not applied unasked.
  ASSERT_TRUE(model->wait_for(events.last_durable(), Millis(10000)).ok());
  driver.submit();
  EXPECT_EQ(model->sweep("small").error().code, Errc::not_found) << "nobody has told the read model";
  model->expect(events.last_durable());
  std::thread late([&] {
    std::this_thread::sleep_for(Millis(50));
    model->notify(events.last_durable());
  });
  EXPECT_TRUE(model->sweep("small").ok());
  EXPECT_EQ(model->sweeps({}).value()["total"], 1);
  late.join();
}

}  // namespace
}  // namespace fathom::store
