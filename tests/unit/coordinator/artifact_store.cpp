// Artifacts: whole or absent, resumed where they stopped, named by nothing but their hash.
#include "coordinator/artifacts/artifact_store.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <thread>

#include "common/sha256.hpp"
#include "tests/unit/coordinator/store_testing.hpp"

namespace fathom::artifacts {
namespace {

using fathom::testing::TempFolder;
using ::testing::HasSubstr;

class ArtifactStoreTest : public ::testing::Test {
 protected:
  void SetUp() override { open(); }
  void open(const ArtifactStoreOptions& options = {}) {
    store_.reset();
    auto opened = open_artifact_store(folder_ / "artifacts", options);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    store_ = std::move(opened).value();
  }
  // Uploads everything from the wanted offset, in chunks.
  UploadState upload(const std::string& bytes, std::size_t chunk = 1000) {
    const std::string name = sha256_hex(bytes);
    auto state = store_->begin(name, bytes.size());
    while (state && !state->committed) state = store_->write(name, state->offset, bytes.substr(state->offset, chunk));
    EXPECT_TRUE(state.ok()) << state.error().message;
    return state ? *state : UploadState{};
  }
  std::size_t staged() {
    const auto entries = std::filesystem::directory_iterator(folder_ / "artifacts" / "incoming");
    return static_cast<std::size_t>(std::distance(begin(entries), end(entries)));
  }

  TempFolder folder_;
  std::unique_ptr<ArtifactStore> store_;
  const std::string bytes_ = [] {
    std::string bytes;
    for (int i = 0; i < 2000; ++i) bytes += std::to_string(i) + ",";
    return bytes;
  }();
  const std::string name_ = sha256_hex(bytes_);
};

TEST_F(ArtifactStoreTest, CommitsAndReadsBack) {
  EXPECT_TRUE(upload(bytes_).committed);
  EXPECT_EQ(store_->total_bytes(), bytes_.size());
  EXPECT_EQ(store_->stat(name_)->size, bytes_.size());
  EXPECT_EQ(staged(), 0U);
  const auto reader = store_->open(name_);
  ASSERT_TRUE(reader.ok());
  EXPECT_EQ(*(*reader)->read(0, 1 << 20), bytes_);
  EXPECT_EQ(*(*reader)->read(5, 10), bytes_.substr(5, 10));
  EXPECT_EQ(*(*reader)->read(bytes_.size(), 10), "");
  // It is there already: nothing to send.
  EXPECT_TRUE(store_->begin(name_, bytes_.size())->committed);
  open();
  EXPECT_EQ(store_->total_bytes(), bytes_.size());
  ASSERT_EQ(store_->list()->size(), 1U);
  EXPECT_EQ(store_->list()->front().sha256, name_);
}

TEST_F(ArtifactStoreTest, ResumesAfterARestart) {
  ASSERT_TRUE(store_->begin(name_, bytes_.size()).ok());
  ASSERT_TRUE(store_->write(name_, 0, bytes_.substr(0, 3000)).ok());
  open();
  const auto state = store_->begin(name_, bytes_.size());
  ASSERT_TRUE(state.ok());
  EXPECT_EQ(state->offset, 3000U);
  EXPECT_FALSE(store_->stat(name_).ok());
  EXPECT_TRUE(upload(bytes_).committed);
}

TEST_F(ArtifactStoreTest, ARepeatedChunkIsSkippedAndAGapRefused) {
  ASSERT_TRUE(store_->begin(name_, bytes_.size()).ok());
  EXPECT_EQ(store_->write(name_, 0, bytes_.substr(0, 100))->offset, 100U);
  EXPECT_EQ(store_->write(name_, 0, bytes_.substr(0, 100))->offset, 100U);
  EXPECT_EQ(store_->write(name_, 50, bytes_.substr(50, 100))->offset, 150U);
  const auto gap = store_->write(name_, 500, "x");
  ASSERT_FALSE(gap.ok());
  EXPECT_EQ(gap.error().code, Errc::failed_precondition);
  EXPECT_THAT(gap.error().message, HasSubstr("150 was expected"));
  EXPECT_EQ(store_->write(name_, 150, bytes_ + bytes_).error().code, Errc::invalid_argument);
  EXPECT_TRUE(upload(bytes_).committed);
}

TEST_F(ArtifactStoreTest, AWrongHashLeavesNothing) {
  std::string wrong = bytes_;
  wrong[100] ^= 1;
  ASSERT_TRUE(store_->begin(name_, wrong.size()).ok());
  const auto state = store_->write(name_, 0, wrong);
  ASSERT_FALSE(state.ok());
  EXPECT_EQ(state.error().code, Errc::corrupt);
  EXPECT_EQ(staged(), 0U);
  EXPECT_FALSE(store_->stat(name_).ok());
  EXPECT_EQ(store_->total_bytes(), 0U);
  // And the right bytes are still welcome.
  EXPECT_TRUE(upload(bytes_).committed);
}

TEST_F(ArtifactStoreTest, FinishesWhatACrashLeftComplete) {
  std::ofstream(folder_ / "artifacts" / "incoming" / (name_ + "." + std::to_string(bytes_.size()))) << bytes_;
  EXPECT_TRUE(store_->begin(name_, bytes_.size())->committed);
  EXPECT_TRUE(store_->begin(sha256_hex(""), 0)->committed);  // an empty file needs no chunk
}

TEST_F(ArtifactStoreTest, AWrongSizeHurtsNobody) {
  ASSERT_TRUE(store_->begin(name_, bytes_.size()).ok());
  ASSERT_TRUE(store_->write(name_, 0, bytes_.substr(0, 100)).ok());
  ASSERT_TRUE(store_->begin(name_, 50).ok());
  EXPECT_FALSE(store_->write(name_, 0, std::string(50, 'x')).ok());
  EXPECT_EQ(store_->begin(name_, bytes_.size())->offset, 100U);
  EXPECT_TRUE(upload(bytes_).committed);
  EXPECT_EQ(*(*store_->open(name_))->read(0, bytes_.size()), bytes_);
}

TEST_F(ArtifactStoreTest, TwoSendersShareOneUpload) {
  const auto send = [this] { upload(bytes_, 37); };
  std::thread other(send);
  send();
  other.join();
  EXPECT_EQ(store_->stat(name_)->size, bytes_.size());
  EXPECT_EQ(store_->total_bytes(), bytes_.size());
  EXPECT_EQ(*(*store_->open(name_))->read(0, bytes_.size()), bytes_);
}

TEST_F(ArtifactStoreTest, TakesNoPathsFromOutside) {
  for (const std::string& name :
       {std::string("../../etc/passwd"), std::string(""), std::string(64, 'A'), name_ + "0", "../" + name_.substr(3)}) {
    EXPECT_EQ(store_->begin(name, 1).error().code, Errc::invalid_argument) << name;
    EXPECT_EQ(store_->write(name, 0, "x").error().code, Errc::invalid_argument) << name;
    EXPECT_EQ(store_->open(name).error().code, Errc::invalid_argument) << name;
    EXPECT_EQ(store_->stat(name).error().code, Errc::invalid_argument) << name;
    EXPECT_EQ(store_->remove(name).error().code, Errc::invalid_argument) << name;
  }
}

TEST_F(ArtifactStoreTest, RemovesAndKeepsOpenReaders) {
  upload(bytes_);
  const auto reader = store_->open(name_);
  ASSERT_TRUE(store_->remove(name_).ok());
  ASSERT_TRUE(store_->remove(name_).ok());
  EXPECT_EQ(store_->total_bytes(), 0U);
  EXPECT_EQ(store_->open(name_).error().code, Errc::not_found);
  EXPECT_EQ(*(*reader)->read(0, bytes_.size()), bytes_);
}

TEST_F(ArtifactStoreTest, ForgetsOldUploadsAtStart) {
  ASSERT_TRUE(store_->begin(name_, bytes_.size()).ok());
  open();
  EXPECT_EQ(staged(), 1U);
  open({.keep_incoming_seconds = -1});
  EXPECT_EQ(staged(), 0U);
}

TEST_F(ArtifactStoreTest, RefusesWhatTheDiskCannotHold) {
  const auto state = store_->begin(name_, std::uint64_t{1} << 60);
  ASSERT_FALSE(state.ok());
  EXPECT_EQ(state.error().code, Errc::resource_exhausted);
}

}  // namespace
}  // namespace fathom::artifacts
