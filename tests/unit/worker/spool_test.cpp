// The spool: what was synced is read back whole, a torn tail costs only itself, and nothing stays that nobody needs.
#include <gtest/gtest.h>

#include <fstream>
#include <mutex>
#include <set>

#include "common/files.hpp"
#include "common/protocol/fences.hpp"
#include "common/protocol/wire.pb.h"
#include "tests/unit/worker/temp_folder.hpp"
#include "worker/spooler.hpp"

namespace fathom::worker {
namespace {

namespace fs = std::filesystem;

const Fence kFence{JobNumber(12), 1, 3, LeaseId(77)};
const Fence kOther{JobNumber(13), 1, 1, LeaseId(78)};

std::vector<SpoolRecord> some_records(int count) {
  std::vector<SpoolRecord> records;
  for (int index = 0; index < count; ++index) {
    records.push_back(
        {index % 3 == 0 ? SpoolKind::item : SpoolKind::metrics, std::string(static_cast<std::size_t>(index * 7), 'a')});
  }
  return records;
}

std::string bytes_of(const Fence& fence, const std::vector<SpoolRecord>& records) {
  std::string bytes;
  append_spool_fence(fence, bytes);
  for (const SpoolRecord& record : records) append_spool_record(record.kind, record.payload, bytes);
  return bytes;
}

fs::path write(const fs::path& folder, const std::string& bytes) {
  fs::path path = folder / spool_file_name(1);
  auto file = SpoolFile::create(path);
  EXPECT_TRUE(file.ok() && file->append(bytes) && file->sync());
  return path;
}

std::size_t files_in(const fs::path& folder) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

// What a later worker would find.
std::vector<SpoolContents> left_in(const fs::path& folder) {
  SpoolWriter writer(folder, {}, system_disk());
  return writer.recover();
}

TEST(Spool, AttemptsShareASegment) {
  const TempFolder temp;
  const auto path = write(temp.path(), bytes_of(kFence, some_records(5)) + bytes_of(kOther, some_records(1)) +
                                           bytes_of(kFence, some_records(2)));
  const auto read = read_spool(path);
  ASSERT_TRUE(read.ok());
  EXPECT_FALSE(read->torn);
  ASSERT_EQ(read->attempts.size(), 2u);
  EXPECT_EQ(read->attempts[0].fence, kFence);
  EXPECT_EQ(read->attempts[1].fence, kOther);
  EXPECT_EQ(read->attempts[1].records.size(), 1u);
  const auto& records = read->attempts[0].records;
  ASSERT_EQ(records.size(), 7u);
  EXPECT_EQ(records[4].payload, std::string(28, 'a'));
  EXPECT_EQ(records[3].kind, SpoolKind::item);
}

TEST(Spool, EveryCutGivesTheWholeRecordsBeforeIt) {
  const TempFolder temp;
  const auto path = write(temp.path(), bytes_of(kFence, some_records(6)));
  const std::string whole = read_file(path.string()).value();
  std::size_t most = 0;
  for (std::size_t size = whole.size(); size-- > 0;) {
    ASSERT_TRUE(write_file_atomic(path.string(), whole.substr(0, size)).ok());
    const auto read = read_spool(path);
    if (!read.ok() || read->attempts.empty()) continue;  // not even the fence is left
    const auto& records = read->attempts[0].records;
    EXPECT_LT(records.size(), 6u);
    most = std::max(most, records.size());
    for (std::size_t index = 0; index < records.size(); ++index) {
      EXPECT_EQ(records[index].payload, some_records(6)[index].payload);
    }
  }
  EXPECT_EQ(most, 5u);
}

TEST(Spool, AFlippedBitHidesItsRecordAndWhatFollows) {
  const TempFolder temp;
  const auto path =
      write(temp.path(),
            bytes_of(kFence, {{SpoolKind::item, "first"}, {SpoolKind::item, "second"}, {SpoolKind::item, "third"}}));
  std::string bytes = read_file(path.string()).value();
  bytes[bytes.find("second") + 2] ^= 1;
  ASSERT_TRUE(write_file_atomic(path.string(), bytes).ok());
  const auto read = read_spool(path);
  ASSERT_TRUE(read.ok());
  EXPECT_TRUE(read->torn);
  ASSERT_EQ(read->attempts[0].records.size(), 1u);
  EXPECT_EQ(read->attempts[0].records[0].payload, "first");
}

TEST(Spool, ForeignBytesAreRefused) {
  const TempFolder temp;
  const auto path = (temp.path() / "x.spool").string();
  std::string nobodys("FSPL\x02\0\0\0", 8);
  append_spool_record(SpoolKind::item, "whose?", nobodys);
  for (const std::string& bytes : {std::string(), std::string("hello"), std::string("FSPL\x03\0\0\0", 8), nobodys}) {
    ASSERT_TRUE(write_file_atomic(path, bytes).ok());
    const auto read = read_spool(path);
    ASSERT_FALSE(read.ok());
    EXPECT_EQ(read.error().code, Errc::corrupt);
  }
  EXPECT_TRUE(left_in(temp.path()).empty());
  EXPECT_EQ(files_in(temp.path()), 0u);
}

TEST(Spool, FilesOfVersionOneAreTakenUpFirst) {
  const TempFolder temp;
  const std::string one(std::string("FSPL\x01\0\0\0", 8) + bytes_of(kFence, {{SpoolKind::item, "old"}}));
  ASSERT_TRUE(write_file_atomic((temp.path() / "12-1-3.spool").string(), one).ok());
  write(temp.path(), bytes_of(kFence, {{SpoolKind::item, "new"}}));
  const auto found = left_in(temp.path());
  ASSERT_EQ(found.size(), 1u);
  ASSERT_EQ(found[0].records.size(), 2u);
  EXPECT_EQ(found[0].records[0].payload, "old");
}

TEST(Spool, WhatWasForgottenIsNotFoundAgain) {
  const TempFolder temp;
  std::string bytes = bytes_of(kFence, some_records(3)) + bytes_of(kOther, some_records(2));
  append_spool_record(SpoolKind::forget, {}, bytes);
  append_spool_record(SpoolKind::log, "end", bytes);
  write(temp.path(), bytes);
  const auto found = left_in(temp.path());
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].records.size(), 3u);
  ASSERT_EQ(found[1].records.size(), 1u);
  EXPECT_EQ(found[1].records[0].kind, SpoolKind::log);
}

TEST(Spooler, ReportsItemsDurableInOrderAndForgets) {
  const TempFolder temp;
  std::mutex mutex;
  std::map<Fence, std::vector<std::uint64_t>> durable;
  {
    ThreadSpooler spooler(temp.path(), [&](const Fence& fence, std::uint64_t sequence, const Status& status) {
      const std::lock_guard lock(mutex);
      EXPECT_TRUE(status.ok());
      durable[fence].push_back(sequence);
    });
    for (std::uint64_t sequence = 1; sequence <= 50; ++sequence) {
      spooler.append_item(kFence, sequence, "item");
      spooler.append(kFence, {SpoolKind::metrics, "points"});
      spooler.append_item(kOther, sequence, "other");
    }
    spooler.flush();
    const auto all = left_in(temp.path());
    ASSERT_EQ(all.size(), 2u);
    EXPECT_EQ(all[0].records.size(), 100u);
    EXPECT_EQ(all[1].records.size(), 50u);
    spooler.rewrite(kFence, {{SpoolKind::item, "left"}});
    spooler.append_item(kFence, 51, "more");
    spooler.flush();
    EXPECT_EQ(left_in(temp.path())[0].records.size(), 2u);
    spooler.remove(kOther);
    spooler.flush();
    EXPECT_EQ(left_in(temp.path()).size(), 1u);
    spooler.remove(kFence);
  }
  EXPECT_EQ(files_in(temp.path()), 0u);
  for (const Fence& fence : {kFence, kOther}) {
    ASSERT_FALSE(durable[fence].empty());
    EXPECT_TRUE(std::ranges::is_sorted(durable[fence]));
  }
  EXPECT_EQ(durable[kFence].back(), 51u);
  EXPECT_EQ(durable[kOther].back(), 50u);
}

// A long attempt beside many short ones: segments go with the attempts that are in them.
TEST(Spooler, SegmentsThatNobodyNeedsGo) {
  const TempFolder temp;
  const std::string large(1u << 20, 'x');
  {
    ThreadSpooler spooler(temp.path(), [](const Fence&, std::uint64_t, const Status& status) { EXPECT_TRUE(status); });
    spooler.append_item(kFence, 1, "stays");
    for (std::uint64_t job = 100; job < 140; ++job) {
      const Fence fence{JobNumber(job), 1, 1, LeaseId(job)};
      spooler.append_item(fence, 1, large);
      spooler.flush();
      if (job != 120) spooler.remove(fence);
    }
    spooler.flush();
    // The first, which holds kFence; the one of job 120; the newest.
    EXPECT_LE(files_in(temp.path()), 3u);
  }
  std::set<std::uint64_t> found;
  for (const SpoolContents& one : left_in(temp.path())) found.insert(one.fence.job.value());
  EXPECT_TRUE(found.contains(12) && found.contains(120));
  EXPECT_LT(found.size(), 10u);
}

// A segment that a crash has torn is never written on: what came before the tear and what came later are both found.
TEST(Spooler, ALaterWorkerBeginsItsOwnSegment) {
  const TempFolder temp;
  const auto torn = write(temp.path(), bytes_of(kFence, some_records(2)) + "torn");
  std::string bytes;
  {
    ThreadSpooler spooler(temp.path(), [](const Fence&, std::uint64_t, const Status& status) { EXPECT_TRUE(status); });
    ASSERT_EQ(spooler.recover().size(), 1u);
    spooler.append_item(kFence, 3, "later");
    spooler.flush();
  }
  EXPECT_EQ(left_in(temp.path())[0].records.size(), 3u);
  EXPECT_TRUE(fs::exists(torn));
}

// What nobody waits for keeps a distance from the round before it; what is urgent takes it along at once.
TEST(Spooler, RoundsKeepADistanceUnlessOneIsUrgent) {
  const TempFolder temp;
  std::mutex mutex;
  std::map<std::uint64_t, std::chrono::steady_clock::time_point> durable;
  ThreadSpooler spooler(temp.path(), [&](const Fence&, std::uint64_t sequence, const Status& status) {
    const std::lock_guard lock(mutex);
    EXPECT_TRUE(status.ok());
    durable[sequence] = std::chrono::steady_clock::now();
  });
  spooler.append_item(kFence, 1, "first", false);
  spooler.flush();
  for (std::uint64_t sequence = 2; sequence <= 9; ++sequence) spooler.append_item(kFence, sequence, "item", false);
  spooler.flush();
  // One round for all of them, so only the last is told.
  EXPECT_EQ(durable.size(), 2u);
  EXPECT_TRUE(durable.contains(9));
  spooler.append_item(kFence, 10, "waits", false);
  spooler.append_item(kFence, 11, "urgent");
  spooler.flush();
  EXPECT_FALSE(durable.contains(10));
  EXPECT_TRUE(durable.contains(11));
}

TEST(Spooler, AFailureIsReportedForTheItem) {
  const TempFolder temp;
  std::mutex mutex;
  int failures = 0;
  {
    ThreadSpooler spooler(temp.path() / "absent", [&](const Fence&, std::uint64_t, const Status& status) {
      const std::lock_guard lock(mutex);
      if (!status) ++failures;
    });
    spooler.append_item(kFence, 1, "item");
    spooler.flush();
  }
  EXPECT_EQ(failures, 1);
}

}  // namespace
}  // namespace fathom::worker
