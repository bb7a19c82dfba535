// The spool: what was synced is read back whole, a torn tail costs only itself.
#include <gtest/gtest.h>

#include <fstream>
#include <mutex>

#include "common/files.hpp"
#include "tests/unit/worker/temp_folder.hpp"
#include "worker/spool_file.hpp"
#include "worker/spooler.hpp"

namespace fathom::worker {
namespace {

const Fence kFence{JobNumber(12), 1, 3, LeaseId(77)};

std::vector<SpoolRecord> some_records(int count) {
  std::vector<SpoolRecord> records;
  for (int index = 0; index < count; ++index) {
    records.push_back(
        {index % 3 == 0 ? SpoolKind::item : SpoolKind::metrics, std::string(static_cast<std::size_t>(index * 7), 'a')});
  }
  return records;
}

void write(const std::filesystem::path& folder, const std::vector<SpoolRecord>& records) {
  auto file = SpoolFile::open(folder, kFence);
  ASSERT_TRUE(file.ok());
  ASSERT_TRUE(file->append(records).ok());
  ASSERT_TRUE(file->sync().ok());
}

TEST(Spool, RoundTripOverTwoOpenings) {
  const TempFolder temp;
  write(temp.path(), some_records(5));
  write(temp.path(), some_records(2));
  const auto read = read_spool(temp.path() / spool_file_name(kFence));
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->fence, kFence);
  EXPECT_FALSE(read->torn);
  ASSERT_EQ(read->records.size(), 7u);
  EXPECT_EQ(read->records[4].payload, std::string(28, 'a'));
  EXPECT_EQ(read->records[3].kind, SpoolKind::item);
}

TEST(Spool, EveryCutGivesTheWholeRecordsBeforeIt) {
  const TempFolder temp;
  write(temp.path(), some_records(6));
  const auto path = temp.path() / spool_file_name(kFence);
  const std::string whole = read_file(path.string()).value();
  std::size_t most = 0;
  for (std::size_t size = whole.size(); size-- > 0;) {
    ASSERT_TRUE(write_file_atomic(path.string(), whole.substr(0, size)).ok());
    const auto read = read_spool(path);
    if (!read.ok()) continue;  // not even the fence is left
    EXPECT_LT(read->records.size(), 6u);
    most = std::max(most, read->records.size());
    for (std::size_t index = 0; index < read->records.size(); ++index) {
      EXPECT_EQ(read->records[index].payload, some_records(6)[index].payload);
    }
  }
  EXPECT_EQ(most, 5u);
}

TEST(Spool, AFlippedBitHidesItsRecordAndWhatFollows) {
  const TempFolder temp;
  write(temp.path(), {{SpoolKind::item, "first"}, {SpoolKind::item, "second"}, {SpoolKind::item, "third"}});
  const auto path = temp.path() / spool_file_name(kFence);
  std::string bytes = read_file(path.string()).value();
  bytes[bytes.find("second") + 2] ^= 1;
  ASSERT_TRUE(write_file_atomic(path.string(), bytes).ok());
  const auto read = read_spool(path);
  ASSERT_TRUE(read.ok());
  EXPECT_TRUE(read->torn);
  ASSERT_EQ(read->records.size(), 1u);
  EXPECT_EQ(read->records[0].payload, "first");
}

TEST(Spool, ForeignBytesAreRefused) {
  const TempFolder temp;
  const auto path = (temp.path() / "x.spool").string();
  for (const std::string& bytes : {std::string(), std::string("hello"), std::string("FSPL\x02\0\0\0", 8),
                                   std::string("FSPL\x01\0\0\0\xff\xff\xff\xff", 12)}) {
    ASSERT_TRUE(write_file_atomic(path, bytes).ok());
    const auto read = read_spool(path);
    ASSERT_FALSE(read.ok());
    EXPECT_EQ(read.error().code, Errc::corrupt);
  }
}

TEST(Spool, RewriteKeepsJustTheseRecords) {
  const TempFolder temp;
  write(temp.path(), some_records(9));
  ASSERT_TRUE(rewrite_spool(temp.path(), kFence, {{SpoolKind::log, "end"}}).ok());
  const auto read = read_spool(temp.path() / spool_file_name(kFence));
  ASSERT_TRUE(read.ok());
  ASSERT_EQ(read->records.size(), 1u);
  EXPECT_EQ(read->records[0].kind, SpoolKind::log);
}

TEST(Spooler, ReportsItemsDurableInOrderAndForgets) {
  const TempFolder temp;
  std::mutex mutex;
  std::vector<std::uint64_t> durable;
  {
    ThreadSpooler spooler(temp.path(), [&](const Fence& fence, std::uint64_t sequence, const Status& status) {
      const std::lock_guard lock(mutex);
      EXPECT_EQ(fence, kFence);
      EXPECT_TRUE(status.ok());
      durable.push_back(sequence);
    });
    for (std::uint64_t sequence = 1; sequence <= 50; ++sequence) {
      spooler.append_item(kFence, sequence, "item");
      spooler.append(kFence, {SpoolKind::metrics, "points"});
    }
    spooler.flush();
    EXPECT_EQ(read_spool(temp.path() / spool_file_name(kFence))->records.size(), 100u);
    spooler.rewrite(kFence, {{SpoolKind::item, "left"}});
    spooler.append_item(kFence, 51, "more");
    spooler.flush();
    EXPECT_EQ(read_spool(temp.path() / spool_file_name(kFence))->records.size(), 2u);
    spooler.remove(kFence);
    spooler.flush();
    EXPECT_FALSE(std::filesystem::exists(temp.path() / spool_file_name(kFence)));
  }
  ASSERT_FALSE(durable.empty());
  EXPECT_TRUE(std::is_sorted(durable.begin(), durable.end()));
  EXPECT_EQ(durable.back(), 51u);
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
