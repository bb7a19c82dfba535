// Work of a pass is done by as many threads as were asked for. That it takes less time is for benchmarks to say.
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "trainer/engine/threads.hpp"

namespace fathom::trainer {
namespace {

class Threads : public ::testing::Test {
 protected:
  void SetUp() override { at::set_num_threads(2); }
  void TearDown() override { at::set_num_threads(before_); }

 private:
  const int before_ = at::get_num_threads();
};

TEST_F(Threads, BothTakePart) {
  std::mutex mutex;
  std::condition_variable both;
  std::set<std::thread::id> seen;
  std::set<int> numbers;
  std::int64_t done = 0;
  // Each part waits for the other: one thread alone would not get to the second.
  share_out(101, 10, [&](std::int64_t first, std::int64_t last) {
    std::unique_lock lock(mutex);
    seen.insert(std::this_thread::get_id());
    numbers.insert(at::get_thread_num());
    done += last - first;
    both.notify_all();
    both.wait_for(lock, std::chrono::seconds(10), [&] { return seen.size() == 2; });
  });
  EXPECT_EQ(seen.size(), 2U);
  EXPECT_EQ(numbers, (std::set<int>{0, 1}));
  EXPECT_EQ(done, 101);
}

TEST_F(Threads, LittleWorkStaysWithOne) {
  int parts = 0;
  share_out(10, 10, [&](std::int64_t first, std::int64_t last) {
    ++parts;
    EXPECT_EQ(first, 0);
    EXPECT_EQ(last, 10);
  });
  EXPECT_EQ(parts, 1);
  share_out(0, 10, [&](std::int64_t, std::int64_t) { ++parts; });
  EXPECT_EQ(parts, 1);
}

TEST_F(Threads, ExceptionsOfAPartReachTheCaller) {
  const auto fail = [](std::int64_t first, std::int64_t) {
    if (first > 0) throw std::runtime_error("of the second part");
  };
  EXPECT_THROW(share_out(2, 1, fail), std::runtime_error);
}

}  // namespace
}  // namespace fathom::trainer
