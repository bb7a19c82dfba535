// Who waits for its own append commits it: one thread at a time, in order, with the store's own.
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "coordinator/store/event_store.hpp"
#include "tests/unit/coordinator/store_testing.hpp"

namespace fathom::store {
namespace {

using fathom::testing::fault_disk;
using fathom::testing::TempFolder;
using fathom::testing::Waiter;

std::unique_ptr<EventStore> open_ok(const std::filesystem::path& file, EventStoreHooks hooks = {},
                                    const SqliteEventStoreOptions& options = {}) {
  auto store = open_event_store(file, std::move(hooks), options);
  EXPECT_TRUE(store.ok()) << store.error().message;
  return std::move(store).value();
}

TEST(EventStore, WhoWaitsCommitsItself) {
  const TempFolder folder;
  std::thread::id committed, told;
  EventStoreHooks hooks;
  hooks.executor = [](const std::function<void()>&) { ADD_FAILURE() << "the caller's executor was to be taken"; };
  hooks.on_commit = [&](const CommitStats& stats) {
    committed = std::this_thread::get_id();
    EXPECT_EQ(stats.events, 2U) << "all that was queued";
  };
  auto store = open_ok(folder / "events.db", std::move(hooks));
  int durable = 0;
  const auto count = [&](const Status& status) { durable += status.ok() ? 1 : 0; };
  store->append_quietly({{1, "one"}}, count);
  store->append_quietly({{2, "two"}}, count);
  EXPECT_EQ(store->last_durable(), 0U);
  store->commit_here([&](const std::function<void()>& task) {
    told = std::this_thread::get_id();
    task();
  });
  EXPECT_EQ(durable, 2);
  EXPECT_EQ(store->last_durable(), 2U);
  EXPECT_EQ(committed, std::this_thread::get_id());
  EXPECT_EQ(told, std::this_thread::get_id());
  store->commit_here([](const std::function<void()>&) { ADD_FAILURE() << "there is nothing to commit"; });
}

TEST(EventStore, WhoCommitsItselfAndTheStoresThreadTakeTurns) {
  const TempFolder folder;
  Waiter waiter;
  std::atomic<std::uint64_t> last = 0;
  std::atomic<bool> in_order = true;
  EventStoreHooks hooks;
  std::mutex one;  // as a strand would
  const Executor strand = [&](const std::function<void()>& task) {
    const std::lock_guard lock(one);
    task();
  };
  hooks.executor = strand;
  constexpr std::uint64_t kCount = 600;
  auto store = open_ok(folder / "events.db", std::move(hooks));
  std::mutex appending;
  std::uint64_t next = 0;
  const auto add = [&](bool here) {
    for (int i = 0; i < 200; ++i) {
      {
        const std::lock_guard lock(appending);
        const std::uint64_t seq = ++next;
        const auto done = [&, seq](const Status& status) {
          if (!status || seq != ++last) in_order = false;
          waiter.notify();
        };
        here ? store->append_quietly({{seq, "event"}}, done) : store->append({{seq, "event"}}, done);
      }
      if (here) store->commit_here(strand);
    }
  };
  std::thread first([&] { add(true); }), second([&] { add(true); }), third([&] { add(false); });
  for (std::thread* thread : {&first, &second, &third}) thread->join();
  EXPECT_TRUE(waiter.until([&] { return last == kCount; })) << last << " of them";
  EXPECT_TRUE(in_order);
}

TEST(EventStore, ADiskThatIsFullLeavesWhatIsCommittedHereToTheStoresThread) {
  auto& disk = fault_disk();
  const TempFolder folder;
  Waiter waiter;
  SqliteEventStoreOptions options;
  options.vfs = fathom::testing::kFaultVfs;
  options.retry = Millis(20);
  auto store = open_ok(folder / "events.db", {}, options);
  std::atomic<int> durable = 0;
  disk.full = true;
  store->append_quietly({{1, "one"}}, [&](const Status& status) { durable += status.ok() ? 1 : 0; });
  store->commit_here({});
  EXPECT_EQ(durable, 0);
  EXPECT_FALSE(store->admit().ok());
  disk.full = false;
  EXPECT_TRUE(waiter.until([&] { return durable == 1; }));
}

}  // namespace
}  // namespace fathom::store
