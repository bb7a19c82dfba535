// Snapshot files are whole or passed over.
#include <gtest/gtest.h>

#include <fstream>

#include "common/files.hpp"
#include "coordinator/store/snapshot_files.hpp"
#include "tests/unit/coordinator/store_testing.hpp"

namespace fathom::store {
namespace {

class SnapshotFilesTest : public ::testing::Test {
 protected:
  Status write(std::uint64_t seq) {
    return files_.write(seq, [&](const core::RecordSink& sink) -> Status {
      snapshot::Record record;
      record.mutable_head()->set_version(1);
      record.mutable_head()->set_seq(seq);
      FATHOM_TRY(sink(record));
      record.set_final_files(std::string(3U << 20, 'x'));
      FATHOM_TRY(sink(record));
      record.mutable_end()->set_digest("d");
      return sink(record);
    });
  }
  Status read(std::uint64_t seq) {
    records_ = 0;
    return files_.read(seq, [this](const snapshot::Record&) {
      ++records_;
      return success();
    });
  }
  std::string file(std::uint64_t seq) { return ((folder_ / "s") / ("snapshot-" + std::to_string(seq))).string(); }
  fathom::testing::TempFolder folder_;
  SnapshotFiles files_{folder_ / "s"};
  int records_ = 0;
};

TEST_F(SnapshotFilesTest, ComeBackNewestFirst) {
  EXPECT_TRUE(files_.list().empty());
  for (const std::uint64_t seq : {5, 100, 20}) ASSERT_TRUE(write(seq).ok());
  EXPECT_EQ(files_.list(), (std::vector<std::uint64_t>{100, 20, 5}));
  EXPECT_TRUE(read(20).ok());
  EXPECT_EQ(records_, 3);
  EXPECT_EQ(files_.head(100)->seq(), 100U);
  files_.keep(2);
  EXPECT_EQ(files_.list(), (std::vector<std::uint64_t>{100, 20}));
}

TEST_F(SnapshotFilesTest, OtherNamesAreNoSnapshots) {
  ASSERT_TRUE(write(7).ok());
  for (const char* name : {"snapshot-", "snapshot-7x", "part", "events.db"})
    ASSERT_TRUE(write_file_atomic(((folder_ / "s") / name).string(), "x").ok());
  EXPECT_EQ(files_.list(), (std::vector<std::uint64_t>{7}));
}

TEST_F(SnapshotFilesTest, EveryCutAndEveryFlippedBitIsNoticed) {
  ASSERT_TRUE(write(9).ok());
  const std::string whole = *read_file(file(9));
  for (const std::size_t length : {std::size_t{0}, std::size_t{5}, std::size_t{8}, std::size_t{15}, whole.size() - 1}) {
    ASSERT_TRUE(write_file_atomic(file(9), whole.substr(0, length)).ok());
    EXPECT_FALSE(read(9).ok()) << length << " bytes";
  }
  for (std::size_t at = 0; at < whole.size(); at += 1 + whole.size() / 61) {
    std::string flipped = whole;
    flipped[at] = static_cast<char>(flipped[at] ^ 16);
    ASSERT_TRUE(write_file_atomic(file(9), flipped).ok());
    EXPECT_FALSE(read(9).ok()) << "byte " << at;
  }
  ASSERT_TRUE(write_file_atomic(file(9), whole).ok());
  EXPECT_TRUE(read(9).ok());
}

TEST_F(SnapshotFilesTest, ALengthBeyondTheLimitIsRefusedBeforeItIsAllocated) {
  ASSERT_TRUE(write(9).ok());
  std::string bytes = *read_file(file(9));
  for (int i = 0; i < 4; ++i) bytes[8 + static_cast<std::size_t>(i)] = '\xff';
  ASSERT_TRUE(write_file_atomic(file(9), bytes).ok());
  const Status status = read(9);
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.error().message.find("too long"), std::string::npos);
}

}  // namespace
}  // namespace fathom::store
