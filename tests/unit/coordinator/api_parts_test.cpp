// The parts of the api that need no server: URLs, patterns, heads, the state folder, what keeps an artifact.
#include "common/sha256.hpp"
#include "coordinator/api/artifact_keeper.hpp"
#include "coordinator/api/clock_skew.hpp"
#include "coordinator/api/http/head.hpp"
#include "coordinator/api/http/url.hpp"
#include "coordinator/api/state_folder.hpp"
#include "coordinator/artifacts/artifact_store.hpp"
#include "coordinator/core/event.pb.h"
#include "coordinator/core/state.hpp"
#include "tests/unit/coordinator/api_fixture.hpp"

namespace fathom::api {
namespace {

TEST(Url, IsDecodedOnceAndStrictly) {
  Request request;
  ASSERT_TRUE(parse_target("/a%20b/c?x=1%2B1&y=a+b&empty", request));
  EXPECT_EQ(request.path, "/a b/c");
  EXPECT_EQ(request.value("x"), "1+1");
  EXPECT_EQ(request.value("y"), "a b");
  EXPECT_EQ(request.value("missing"), "");
  for (const char* bad : {"", "a", "http://x/", "/%", "/%4", "/%0a", "/a/../b", "/a/%2e%2e/b", "/x?a=%00"}) {
    Request other;
    EXPECT_FALSE(parse_target(bad, other)) << bad;
  }
  EXPECT_EQ(percent_encode("a b/ü"), "a%20b%2F%C3%BC");
  EXPECT_EQ(cookie("a=1; fathom_session=xyz; b=2", "fathom_session"), "xyz");
  EXPECT_EQ(cookie("a=fathom_session=1", "fathom_session"), "");
}

TEST(Pattern, NamesPartsAndTakesTheRest) {
  std::vector<std::string> parts;
  EXPECT_TRUE(matches("/api/v1/sweeps/{sweep}/jobs/{job}", "/api/v1/sweeps/a/jobs/b", parts));
  EXPECT_EQ(parts, (std::vector<std::string>{"a", "b"}));
  parts.clear();
  EXPECT_TRUE(matches("/static/{file...}", "/static/a/b.js", parts));
  EXPECT_EQ(parts, std::vector<std::string>{"a/b.js"});
  for (const char* path :
       {"/api/v1/sweeps", "/api/v1/sweeps/a/jobs", "/api/v1/sweeps/a/jobs/", "/api/v1/sweeps/a/jobs/b/c"}) {
    parts.clear();
    EXPECT_FALSE(matches("/api/v1/sweeps/{sweep}/jobs/{job}", path, parts)) << path;
  }
}

TEST(Head, CannotBeSplitByAValue) {
  Answer answer;
  answer.headers = {{"Location", "/x\r\nSet-Cookie: a=b"}};
  const std::string head = head_bytes(answer, true);
  EXPECT_EQ(head.find("\r\nSet-Cookie"), std::string::npos);
}

TEST(ClockSkew, IsWarnedOfOnceUntilItIsGone) {
  ClockSkew skew;
  EXPECT_FALSE(skew.see(800));
  EXPECT_EQ(skew.text(), "");
  EXPECT_TRUE(skew.see(86'400'000));
  EXPECT_FALSE(skew.see(86'400'100));
  EXPECT_EQ(skew.text(), "its clock is 86400 s ahead");
  EXPECT_FALSE(skew.see(-4'000)) << "half of the bound ends the warning, not less";
  EXPECT_EQ(skew.text(), "its clock is 4 s behind");
  EXPECT_FALSE(skew.see(100));
  EXPECT_EQ(skew.text(), "");
  EXPECT_TRUE(skew.see(-86'400'000));
}

TEST(StateFolder, OneCoordinatorOneVersionNobodyElsesFolder) {
  const TempFolder temp;
  const std::string path = temp / "state";
  {
    const auto folder = must(StateFolder::open(path, {}));
    const auto second = StateFolder::open(path, {});
    ASSERT_FALSE(second.ok());
    EXPECT_EQ(second.error().code, Errc::failed_precondition);
  }
  ASSERT_TRUE(StateFolder::open(path, {}).ok()) << "the lock ends with its holder";
  ASSERT_TRUE(write_file_atomic(path + "/VERSION", "fathom 99\n").ok());
  const auto newer = StateFolder::open(path, {});
  ASSERT_FALSE(newer.ok());
  EXPECT_EQ(newer.error().code, Errc::unsupported);
  EXPECT_NE(newer.error().message.find("fathom 99"), std::string::npos);

  ASSERT_TRUE(make_folders(temp / "killed").ok());
  ASSERT_TRUE(write_file_atomic(temp / "killed/VERSION.tmp.Ab3dEf", "fath").ok());
  EXPECT_TRUE(StateFolder::open(temp / "killed", {}).ok()) << "a first start was killed there";

  ASSERT_TRUE(make_folders(temp / "home").ok());
  ASSERT_TRUE(write_file_atomic(temp / "home/thesis.tex", "x").ok());
  const auto foreign = StateFolder::open(temp / "home", {});
  ASSERT_FALSE(foreign.ok());
  EXPECT_FALSE(std::filesystem::exists(temp / "home/token")) << "nothing is written there";
}

class ManualClock final : public Clock {
 public:
  [[nodiscard]] TimePoint now() const override { return TimePoint(Millis(ms)); }
  [[nodiscard]] WallTime wall() const override { return WallTime(Millis(ms)); }
  std::int64_t ms = 1'000'000;
};

class KeeperTest : public ::testing::Test {
 protected:
  std::string put(const std::string& bytes) {
    const std::string sha = sha256_hex(bytes);
    must(store_->begin(sha, bytes.size()));
    must(store_->write(sha, 0, bytes));
    return sha;
  }
  bool there(const std::string& sha) { return store_->stat(sha).ok(); }
  TempFolder folder_;
  ManualClock clock_;
  std::unique_ptr<artifacts::ArtifactStore> store_ = must(artifacts::open_artifact_store(folder_ / "artifacts"));
  ArtifactKeeper keeper_{*store_, clock_, Millis(1000)};
  static bool unused(const std::string&) { return false; }
};

TEST_F(KeeperTest, AReleasedArtifactGoesAfterTheGracePeriod) {
  const auto sha = put("checkpoint");
  keeper_.release(sha);
  keeper_.remove_due(unused);
  EXPECT_TRUE(there(sha));
  clock_.ms += 1000;
  keeper_.remove_due(unused);
  EXPECT_FALSE(there(sha));
}

TEST_F(KeeperTest, FinalFilesPinsAndUsesKeepIt) {
  const auto final_file = put("final");
  event::Event event;
  event.mutable_job_finished()->add_files()->set_sha256(final_file);
  keeper_.observe(event);
  const auto used = put("used");
  const auto pinned = put("pinned");
  for (const auto& sha : {final_file, used, pinned}) keeper_.release(sha);
  clock_.ms += 900;
  keeper_.pin(pinned);
  clock_.ms += 100;
  keeper_.remove_due([&](const std::string& sha) { return sha == used; });
  EXPECT_TRUE(there(final_file));
  EXPECT_TRUE(there(used));
  EXPECT_TRUE(there(pinned));
  clock_.ms += 1000;
  keeper_.remove_due(unused);
  EXPECT_TRUE(there(final_file));
  EXPECT_FALSE(there(pinned)) << "the pin has run out";
}

TEST(HashHeads, HasWhatCameInEitherForm) {
  HashHeads heads;
  EXPECT_FALSE(heads.contains(sha256_hex("0")));
  std::vector<std::string> hashes;
  for (int i = 0; i < 20'000; ++i) hashes.push_back(sha256_hex(std::to_string(i)));
  for (std::size_t i = 0; i < 10'000; i += 2) {
    heads.insert(hashes[i]), heads.insert_packed(packed_hash(hashes[i + 1]));
    heads.insert(hashes[i + 1]);  // once is enough
  }
  EXPECT_EQ(heads.size(), 10'000U);
  for (std::size_t i = 0; i < hashes.size(); ++i) ASSERT_EQ(heads.contains(hashes[i]), i < 10'000) << i;
  const std::string zero(64, '0');
  EXPECT_FALSE(heads.contains(zero));
  heads.insert(zero);
  EXPECT_TRUE(heads.contains(zero));
  heads.reserve(100'000);
  EXPECT_TRUE(heads.contains(hashes[9'999]));
  heads.clear();
  EXPECT_FALSE(heads.contains(hashes[0]));
}

TEST_F(KeeperTest, FinalFilesOfASnapshotStay) {
  const auto one = put("one"), other = put("other"), third = put("third");
  keeper_.restore(packed_hash(one) + packed_hash(other));
  for (const auto& sha : {one, other, third}) keeper_.release(sha);
  clock_.ms += 1000;
  keeper_.remove_due(unused);
  EXPECT_TRUE(there(one) && there(other));
  EXPECT_FALSE(there(third));
}

// Row 3: uploaded, and the coordinator ended before the event that was to name it.
TEST_F(KeeperTest, WhatNoEventNamesGoesWhenNobodyCanNameItAnyMore) {
  const auto orphan = put("orphan"), final_file = put("final"), used = put("used"), again = put("announced again");
  event::Event event;
  event.mutable_job_finished()->add_files()->set_sha256(final_file);
  keeper_.observe(event);
  keeper_.watch_orphans();
  const auto in_use = [&](const std::string& sha) { return sha == used; };
  // The lease that was there at the start: its spool may still name the orphan.
  std::map<LeaseId, core::Lease> leases{{LeaseId(7), {}}};
  EXPECT_FALSE(keeper_.remove_orphans(leases, in_use)) << "not listed yet";
  keeper_.found(must(store_->list()));
  leases.emplace(LeaseId(8), core::Lease{});
  EXPECT_FALSE(keeper_.remove_orphans(leases, in_use));
  EXPECT_TRUE(there(orphan));
  keeper_.pin(again);
  const auto fresh = put("of this life");
  leases.erase(LeaseId(7));  // the later one cannot name what it has not announced here
  clock_.ms += 1'000'000;
  EXPECT_TRUE(keeper_.remove_orphans(leases, in_use));
  EXPECT_FALSE(there(orphan));
  for (const auto& sha : {final_file, used, again, fresh}) EXPECT_TRUE(there(sha));
  EXPECT_TRUE(keeper_.remove_orphans(leases, in_use)) << "once in a life";
}

}  // namespace
}  // namespace fathom::api
