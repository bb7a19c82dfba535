// Which thread does the work: the strand's and the handlers' of a coordinator.
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <latch>
#include <stdexcept>
#include <thread>
#include <vector>

#include "coordinator/api/handlers.hpp"
#include "coordinator/api/strand.hpp"

namespace fathom::api {
namespace {

TEST(Strand, RunsOnTheCallersThreadWhereNobodyIsInIt) {
  boost::asio::io_context io;
  Strand strand(io);
  std::vector<int> order;
  EXPECT_TRUE(strand.here([&](bool here) {
    EXPECT_TRUE(here);
    order.push_back(1);
    // Inside of it: behind what runs now.
    EXPECT_FALSE(strand.here([&](bool again) {
      EXPECT_FALSE(again);
      order.push_back(3);
    }));
    strand.post([&] { order.push_back(4); });
    order.push_back(2);
  }));
  EXPECT_FALSE(strand.here([&](bool) { order.push_back(5); })) << "what waits comes first";
  EXPECT_EQ(order, (std::vector{1, 2}));
  io.run();
  EXPECT_EQ(order, (std::vector{1, 2, 3, 4, 5}));
}

TEST(Strand, NeverRunsTwoAtOnce) {
  boost::asio::io_context io;
  Strand strand(io);
  constexpr int kEach = 2000;
  int count = 0;  // no atomic: the strand is what keeps it
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (int n = 0; n < kEach; ++n) {
        i % 2 == 0 ? strand.post([&] { ++count; }) : void(strand.here([&](bool) { ++count; }));
        if (n % 100 == 0) io.poll();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  io.restart();
  io.run();
  EXPECT_EQ(count, 4 * kEach);
}

TEST(Strand, AnExceptionIsTheIoContextsAndTheRestStillRuns) {
  boost::asio::io_context io;
  Strand strand(io);
  int after = 0;
  EXPECT_TRUE(strand.here([&](bool) {
    strand.post([&] { ++after; });
    throw std::runtime_error("here");
  }));
  strand.post([] { throw std::runtime_error("posted"); });
  strand.post([&] { ++after; });
  int thrown = 0;
  for (int i = 0; i < 10; ++i) {
    try {
      io.restart();
      io.run();
    } catch (const std::runtime_error&) {
      ++thrown;
    }
  }
  EXPECT_EQ(thrown, 2);
  EXPECT_EQ(after, 2);
}

TEST(Handlers, RunOnTheCallersThreadAndOnlySoManyAtOnce) {
  boost::asio::io_context io;
  Handlers handlers(io, 1);
  std::thread::id where;
  handlers.here([&] { where = std::this_thread::get_id(); });
  EXPECT_EQ(where, std::this_thread::get_id());

  std::latch begun(1), go_on(1);
  std::thread other([&] {
    handlers.here([&] {
      begun.count_down();
      go_on.wait();
    });
  });
  begun.wait();
  int late = 0;
  handlers.here([&] { ++late; });
  handlers.post([&] { ++late; });
  io.poll();
  EXPECT_EQ(late, 0) << "the one that may run has not ended";
  go_on.count_down();
  other.join();
  io.restart();
  io.run();
  EXPECT_EQ(late, 2);
}

TEST(Handlers, OneThatThrowsMakesRoomForTheNext) {
  boost::asio::io_context io;
  Handlers handlers(io, 1);
  EXPECT_THROW(handlers.here([] { throw std::runtime_error("broken"); }), std::runtime_error);
  bool ran = false;
  handlers.here([&] { ran = true; });
  EXPECT_TRUE(ran);
}

}  // namespace
}  // namespace fathom::api
