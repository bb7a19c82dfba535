// The event log on SQLite: what is acknowledged survives, what is damaged is said, and one sync serves many.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <fstream>
#include <future>
#include <latch>

#include "common/crc32c.hpp"
#include "coordinator/store/event_store.hpp"
#include "coordinator/store/memory_event_store.hpp"
#include "coordinator/store/recent_events.hpp"
#include "tests/unit/coordinator/store_testing.hpp"

namespace fathom::store {
namespace {

using fathom::testing::fault_disk;
using fathom::testing::TempFolder;
using fathom::testing::Waiter;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::unique_ptr<EventStore> open_ok(const std::filesystem::path& file, EventStoreHooks hooks = {},
                                    const SqliteEventStoreOptions& options = {}) {
  auto store = open_event_store(file, std::move(hooks), options);
  EXPECT_TRUE(store.ok()) << store.error().message;
  return std::move(store).value();
}

Status append_and_wait(EventStore& store, std::vector<EventRecord> batch) {
  std::promise<Status> done;
  store.append(std::move(batch), [&](const Status& status) { done.set_value(status); });
  return done.get_future().get();
}

std::vector<std::string> contents(EventStore& store, std::uint64_t from = 1) {
  std::vector<std::string> bytes;
  const Status loaded = store.load(from, [&](const EventRecord& record) {
    bytes.push_back(record.bytes);
    return success();
  });
  EXPECT_TRUE(loaded.ok()) << loaded.error().message;
  return bytes;
}

Error load_error(EventStore& store) {
  const Status loaded = store.load(1, [](const EventRecord&) { return success(); });
  return loaded ? Error{Errc::internal, "no error"} : loaded.error();
}

void change(const std::filesystem::path& file, const std::string& sql) {
  sqlite3* handle = nullptr;
  ASSERT_EQ(sqlite3_open(file.c_str(), &handle), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(handle, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(handle);
  sqlite3_close(handle);
}

TEST(Crc32c, IsTheOneOfRfc3720) {
  EXPECT_EQ(crc32c("123456789"), 0xE3069283U);
  EXPECT_EQ(crc32c("6789", crc32c("12345")), 0xE3069283U);
  EXPECT_EQ(crc32c(""), 0U);
}

TEST(EventStore, KeepsEverythingOverAReopen) {
  const TempFolder folder;
  std::string id;
  {
    auto store = open_ok(folder / "events.db");
    id = store->id();
    EXPECT_EQ(store->last_durable(), 0U);
    EXPECT_TRUE(append_and_wait(*store, {{1, "one"}, {2, std::string("t\0wo", 4)}}).ok());
    EXPECT_TRUE(append_and_wait(*store, {{3, ""}}).ok());
    EXPECT_EQ(store->last_durable(), 3U);
  }
  auto store = open_ok(folder / "events.db");
  EXPECT_EQ(store->last_durable(), 3U);
  EXPECT_EQ(store->id(), id);
  EXPECT_THAT(contents(*store), ElementsAre("one", std::string("t\0wo", 4), ""));
  EXPECT_THAT(contents(*store, 3), ElementsAre(""));
  EXPECT_TRUE(append_and_wait(*store, {{4, "four"}}).ok());
}

TEST(EventStore, RefusesARecordOutOfPlace) {
  const TempFolder folder;
  auto store = open_ok(folder / "events.db");
  EXPECT_TRUE(append_and_wait(*store, {{1, "one"}}).ok());
  EXPECT_FALSE(append_and_wait(*store, {{3, "three"}}).ok());
  EXPECT_TRUE(append_and_wait(*store, {{2, "two"}}).ok());
  EXPECT_THAT(contents(*store), ElementsAre("one", "two"));
}

TEST(EventStore, LoadsMoreThanAPage) {
  const TempFolder folder;
  auto store = open_ok(folder / "events.db");
  std::vector<EventRecord> batch;
  for (std::uint64_t seq = 1; seq <= 1300; ++seq) batch.push_back({seq, std::to_string(seq)});
  EXPECT_TRUE(append_and_wait(*store, std::move(batch)).ok());
  const std::vector<std::string> all = contents(*store);
  ASSERT_EQ(all.size(), 1300U);
  EXPECT_EQ(all.back(), "1300");
}

TEST(EventStore, IsHeldByOneProcess) {
  const TempFolder folder;
  auto store = open_ok(folder / "events.db");
  const auto second = open_event_store(folder / "events.db", {});
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, Errc::failed_precondition);
  EXPECT_THAT(second.error().message, HasSubstr("another coordinator"));
}

// While the first transaction is being written, a hundred appends come: they share the second one.
TEST(EventStore, CommitsWhatQueuedUpInOneTransaction) {
  const TempFolder folder;
  std::atomic<int> transactions = 0;
  std::latch first_committed(1);
  std::latch go_on(1);
  EventStoreHooks hooks;
  hooks.on_commit = [&](const CommitStats& stats) {
    EXPECT_GT(stats.seconds, 0);
    if (++transactions > 1) {
      EXPECT_EQ(stats.events, 100U);
      return;
    }
    first_committed.count_down();
    go_on.wait();
  };
  auto store = open_ok(folder / "events.db", hooks);
  store->append({{1, "one"}}, {});
  first_committed.wait();
  std::vector<int> order;
  std::promise<void> all;
  for (int i = 0; i < 100; ++i) {
    store->append({{static_cast<std::uint64_t>(i) + 2, "more"}}, [&, i](const Status& status) {
      EXPECT_TRUE(status.ok());
      order.push_back(i);
      if (i == 99) all.set_value();
    });
  }
  go_on.count_down();
  all.get_future().wait();
  EXPECT_EQ(transactions, 2);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
  EXPECT_EQ(order.size(), 100U);
}

TEST(RecentEvents, HoldsTheNewestWithoutGaps) {
  RecentEvents recent(2 * (sizeof(EventRecord) + 50));
  const auto batch = [](std::uint64_t first, std::size_t bytes) {
    return std::make_shared<const std::vector<EventRecord>>(
        std::vector<EventRecord>{{first, std::string(bytes / 2, 'x')}, {first + 1, std::string(bytes / 2, 'y')}});
  };
  EXPECT_TRUE(recent.from(1).empty());
  recent.add(batch(1, 40));
  ASSERT_EQ(recent.from(2).size(), 1u);
  EXPECT_TRUE(recent.from(3).empty()) << "not here yet";
  recent.add(batch(3, 100));
  EXPECT_TRUE(recent.from(2).empty()) << "not here any more";
  ASSERT_EQ(recent.from(4).size(), 1u);
  EXPECT_EQ(recent.from(4).front()->front().seq, 3u);
  recent.add(batch(5, 10'000));
  EXPECT_TRUE(recent.from(4).empty()) << "a batch that is too large would leave a gap";
  EXPECT_TRUE(recent.from(5).empty());
}

TEST(EventStore, RunsCallbacksWhereToldAndCommitsAtTheEnd) {
  const TempFolder folder;
  std::vector<std::function<void()>> tasks;
  std::mutex mutex;
  EventStoreHooks hooks;
  hooks.executor = [&](std::function<void()> task) {
    const std::lock_guard lock(mutex);
    tasks.push_back(std::move(task));
  };
  int durable = 0;
  {
    auto store = open_ok(folder / "events.db", hooks);
    store->append({{1, "one"}}, [&](const Status& status) { durable += status.ok() ? 1 : 0; });
  }
  EXPECT_EQ(durable, 0);
  for (const auto& task : tasks) task();
  EXPECT_EQ(durable, 1);
}

TEST(EventStore, FindsAFlippedBit) {
  const TempFolder folder;
  {
    auto store = open_ok(folder / "events.db");
    EXPECT_TRUE(append_and_wait(*store, {{1, "one"}, {2, "two"}}).ok());
  }
  change(folder / "events.db", "UPDATE events SET bytes = CAST('twn' AS BLOB) WHERE seq = 2");
  auto store = open_ok(folder / "events.db");
  const Error error = load_error(*store);
  EXPECT_EQ(error.code, Errc::corrupt);
  EXPECT_THAT(error.message, HasSubstr("record 2 does not match its checksum"));
  EXPECT_THAT(error.message, HasSubstr("repair"));
}

TEST(EventStore, FindsAMissingAndAMovedRecord) {
  const TempFolder folder;
  {
    auto store = open_ok(folder / "events.db");
    EXPECT_TRUE(append_and_wait(*store, {{1, "one"}, {2, "two"}, {3, "three"}}).ok());
  }
  change(folder / "events.db", "DELETE FROM events WHERE seq = 2");
  EXPECT_THAT(load_error(*open_ok(folder / "events.db")).message, HasSubstr("record 2 is missing"));
  change(folder / "events.db", "UPDATE events SET seq = 2 WHERE seq = 3");
  EXPECT_THAT(load_error(*open_ok(folder / "events.db")).message, HasSubstr("checksum"));
}

// As after a power loss: the files are copied while the store is open, and the copy's write-ahead log loses its end.
TEST(EventStore, ForgetsATornTransactionAndNothingElse) {
  const TempFolder folder;
  auto store = open_ok(folder / "events.db");
  EXPECT_TRUE(append_and_wait(*store, {{1, "one"}}).ok());
  EXPECT_TRUE(append_and_wait(*store, {{2, "two"}}).ok());
  std::filesystem::copy(folder / "events.db", folder / "copy.db");
  std::filesystem::copy(folder / "events.db-wal", folder / "copy.db-wal");
  std::filesystem::resize_file(folder / "copy.db-wal", std::filesystem::file_size(folder / "copy.db-wal") - 100);
  auto copy = open_ok(folder / "copy.db");
  EXPECT_THAT(contents(*copy), ElementsAre("one"));
  EXPECT_TRUE(append_and_wait(*copy, {{2, "two again"}}).ok());
}

TEST(EventStore, SaysWhatToDoWithAFileThatIsNoLog) {
  const TempFolder folder;
  std::ofstream(folder / "events.db") << std::string(5000, 'x');
  const auto store = open_event_store(folder / "events.db", {});
  ASSERT_FALSE(store.ok());
  EXPECT_EQ(store.error().code, Errc::corrupt);
  EXPECT_THAT(store.error().message, HasSubstr("repair"));
}

TEST(EventStore, FindsACutFile) {
  const TempFolder folder;
  {
    auto store = open_ok(folder / "events.db");
    std::vector<EventRecord> batch;
    for (std::uint64_t seq = 1; seq <= 2000; ++seq) batch.push_back({seq, std::string(100, 'e')});
    EXPECT_TRUE(append_and_wait(*store, std::move(batch)).ok());
  }
  std::filesystem::resize_file(folder / "events.db", 40960);
  auto store = open_event_store(folder / "events.db", {});
  const Error error = store ? load_error(**store) : store.error();
  EXPECT_EQ(error.code, Errc::corrupt) << error.message;
  EXPECT_THAT(error.message, HasSubstr("repair"));
}

TEST(EventStore, RefusesANewerSchemaPolitely) {
  const TempFolder folder;
  open_ok(folder / "events.db").reset();
  change(folder / "events.db", "PRAGMA user_version = 99");
  const auto store = open_event_store(folder / "events.db", {});
  ASSERT_FALSE(store.ok());
  EXPECT_EQ(store.error().code, Errc::unsupported);
  EXPECT_THAT(store.error().message, HasSubstr("newer Fathom (schema 99"));
}

TEST(EventStore, AFullDiskLosesNothing) {
  const TempFolder folder;
  auto& disk = fault_disk();
  Waiter waiter;
  std::vector<bool> health;
  std::mutex mutex;
  EventStoreHooks hooks;
  hooks.on_health = [&](const Status& status) {
    const std::lock_guard lock(mutex);
    health.push_back(status.ok());
  };
  SqliteEventStoreOptions options;
  options.vfs = fathom::testing::kFaultVfs;
  options.retry = Millis(10);
  auto store = open_ok(folder / "events.db", hooks, options);
  EXPECT_TRUE(store->admit().ok());
  EXPECT_TRUE(append_and_wait(*store, {{1, "one"}}).ok());
  disk.full = true;
  std::atomic<int> durable = 0;
  store->append({{2, "two"}}, [&](const Status& status) { durable += status.ok() ? 1 : 0; });
  store->append({{3, "three"}}, [&](const Status& status) { durable += status.ok() ? 1 : 0; });
  ASSERT_TRUE(waiter.until([&] { return !store->admit().ok(); }));
  EXPECT_EQ(store->admit().error().code, Errc::resource_exhausted);
  EXPECT_EQ(durable, 0);
  EXPECT_EQ(store->last_durable(), 1U);
  disk.full = false;
  ASSERT_TRUE(waiter.until([&] { return durable == 2; }));
  EXPECT_TRUE(store->admit().ok());
  EXPECT_THAT(health, ElementsAre(false, true));
  EXPECT_THAT(contents(*store), ElementsAre("one", "two", "three"));
}

TEST(EventStore, RefusesNewWorkBeforeTheDiskIsFull) {
  const TempFolder folder;
  SqliteEventStoreOptions options;
  options.reserve_bytes = UINT64_MAX;
  auto store = open_ok(folder / "events.db", {}, options);
  const Status admitted = store->admit();
  ASSERT_FALSE(admitted.ok());
  EXPECT_EQ(admitted.error().code, Errc::resource_exhausted);
  // What already runs may still report.
  EXPECT_TRUE(append_and_wait(*store, {{1, "one"}}).ok());
}

TEST(EventStore, AFailedSyncEndsAcknowledging) {
  const TempFolder folder;
  auto& disk = fault_disk();
  std::atomic<int> fatal = 0;
  EventStoreHooks hooks;
  hooks.on_fatal = [&](const Error& error) {
    ++fatal;
    EXPECT_THAT(error.message, HasSubstr("restart"));
  };
  SqliteEventStoreOptions options;
  options.vfs = fathom::testing::kFaultVfs;
  auto store = open_ok(folder / "events.db", hooks, options);
  const int before = disk.syncs;
  EXPECT_TRUE(append_and_wait(*store, {{1, "one"}}).ok());
  EXPECT_GT(disk.syncs, before);  // an acknowledged record was synced
  disk.broken_sync = true;
  EXPECT_FALSE(append_and_wait(*store, {{2, "two"}}).ok());
  disk.broken_sync = false;
  EXPECT_FALSE(append_and_wait(*store, {{3, "three"}}).ok());
  EXPECT_EQ(fatal, 1);
  EXPECT_EQ(store->last_durable(), 1U);
}

TEST(MemoryEventStore, CrashLosesOnlyWhatWasNotCommitted) {
  MemoryEventStore store({}, false);
  int durable = 0;
  store.append({{1, "one"}}, [&](const Status& status) { durable += status.ok() ? 1 : 0; });
  store.append({{2, "two"}}, [&](const Status& status) { durable += status.ok() ? 1 : 0; });
  EXPECT_EQ(durable, 0);
  store.commit();
  EXPECT_EQ(durable, 2);
  EXPECT_EQ(store.transactions(), 1U);
  store.append({{3, "three"}}, [&](const Status&) { ++durable; });
  store.crash();
  EXPECT_EQ(store.last_durable(), 2U);
  store.append({{3, "three again"}}, {});
  store.commit();
  EXPECT_THAT(contents(store), ElementsAre("one", "two", "three again"));
  EXPECT_EQ(durable, 2);
}

TEST(MemoryEventStore, PlaysFaults) {
  int fatal = 0;
  EventStoreHooks hooks;
  hooks.on_fatal = [&](const Error&) { ++fatal; };
  MemoryEventStore store(hooks);
  store.set_disk_full(true);
  Status last = success();
  int answers = 0;
  store.append({{1, "one"}}, [&](const Status& status) { last = status, ++answers; });
  EXPECT_EQ(answers, 0);
  EXPECT_FALSE(store.admit().ok());
  store.set_disk_full(false);
  EXPECT_EQ(answers, 1);
  EXPECT_TRUE(last.ok());
  store.fail({Errc::unavailable, "broken"});
  store.append({{2, "two"}}, [&](const Status& status) { last = status, ++answers; });
  EXPECT_FALSE(last.ok());
  EXPECT_EQ(fatal, 1);
}

}  // namespace
}  // namespace fathom::store
