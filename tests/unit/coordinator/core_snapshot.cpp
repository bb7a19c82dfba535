// A snapshot gives back the state it was made from, bit for bit as far as digest() sees, or says that it does not.
#include <google/protobuf/stubs/logging.h>

#include <random>

#include "tests/unit/coordinator/core_rig.hpp"

namespace fathom::core::test {
namespace {

using sweeps::Kind;

// Jobs in most states: running with a checkpoint, stopped by a rung, blocked, failed, finished with files, cancelled.
struct CoreSnapshot : ::testing::Test {
  CoreSnapshot() {
    Planner make;
    make.stage("adapter", Kind::adapter).stop(2, 1, 4);
    std::vector<sweeps::JobIndex> adapters;
    for (int i = 0; i < 5; ++i) adapters.push_back(make.adapter("mr", 0.001 * (i + 1)));
    make.stage("fusion", Kind::fusion);
    make.taking("mr", {best_of("mr", adapters)});
    rig.submit(make.plan, "a key");
    worker = &rig.worker("w", {2, 1});
    for (const JobNumber job : worker->jobs()) worker->started(job);
    worker->report(JobNumber(1), 1, 0.5);
    worker->checkpoint(JobNumber(1), 1, "c1");
    worker->report(JobNumber(2), 1, 0.4);
    worker->fail(JobNumber(3), "crash");
    worker->finish(JobNumber(1), 0.75);
    Planner second;
    second.plan.name = "other";
    second.stage("adapter", Kind::adapter).adapter("sms");
    rig.submit(second.plan);
    rig.give(CancelSweep{SweepNumber(2)});
    rig.take_snapshot();
  }
  Result<State> restore(const std::vector<snapshot::Record>& records) const {
    Restorer restorer([this](std::uint64_t seq) { return rig.plan_of(seq); });
    for (const snapshot::Record& record : records) FATHOM_TRY(restorer.take(record));
    return restorer.finish();
  }
  Rig rig;
  FakeWorker* worker = nullptr;
};

TEST_F(CoreSnapshot, GivesTheSameStateAndTheSameFuture) {
  auto state = restore(rig.snapshot);
  ASSERT_TRUE(state.ok()) << state.error().message;
  EXPECT_EQ(digest(*state), digest(rig.state()));
  EXPECT_EQ(digest(*state), rig.snapshot.back().end().digest());
  EXPECT_TRUE(invariants(*state).empty());
  const std::size_t known = rig.log.size();
  worker->stops.clear();
  for (const JobNumber job : worker->jobs()) worker->finish(job, 0.9);
  rig.restart();  // compares with the whole log
  EXPECT_GT(rig.log.size(), known);
}

TEST_F(CoreSnapshot, OneThatIsNotWholeIsRefused) {
  for (std::size_t without = 0; without < rig.snapshot.size(); ++without) {
    // Workers and leases that are missing leave jobs without their lease: told by the digest that the end carries.
    std::vector<snapshot::Record> records = rig.snapshot;
    records.erase(records.begin() + static_cast<std::ptrdiff_t>(without));
    const auto state = restore(records);
    EXPECT_TRUE(!state.ok() || digest(*state) != records.back().end().digest()) << "without record " << without;
  }
}

TEST_F(CoreSnapshot, AnotherVersionIsNotTried) {
  rig.snapshot.front().mutable_head()->set_version(kSnapshotVersion + 1);
  const auto state = restore(rig.snapshot);
  ASSERT_FALSE(state.ok());
  EXPECT_EQ(state.error().code, Errc::unsupported);
}

TEST_F(CoreSnapshot, DamagedRecordsNeverCrash) {
  const google::protobuf::LogSilencer quiet;
  std::mt19937_64 random(7);
  for (int round = 0; round < 2000; ++round) {
    std::vector<snapshot::Record> records = rig.snapshot;
    snapshot::Record& record = records[random() % records.size()];
    std::string bytes = record.SerializeAsString();
    if (bytes.empty()) continue;
    bytes[random() % bytes.size()] = static_cast<char>(random() & 0x7f);  // texts stay UTF-8
    if (!record.ParseFromString(bytes)) continue;
    const auto state = restore(records);
    EXPECT_TRUE(!state.ok() || !digest(*state).empty());
  }
}

}  // namespace
}  // namespace fathom::core::test
