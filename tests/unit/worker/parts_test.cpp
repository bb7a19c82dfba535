// Small parts: contact and leases, the state folder, device names, paths, the cache.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <functional>

#include "common/files.hpp"
#include "common/protocol/wire.pb.h"
#include "common/sha256.hpp"
#include "tests/unit/worker/temp_folder.hpp"
#include "worker/artifact_cache.hpp"
#include "worker/contact.hpp"
#include "worker/disk_room.hpp"
#include "worker/job_folder.hpp"
#include "worker/job_folders.hpp"
#include "worker/loop.hpp"
#include "worker/options.hpp"
#include "worker/state_folder.hpp"
#include "worker/trainer_host.hpp"
#include "worker/trainer_process.hpp"

namespace fathom::worker {
namespace {

namespace fs = std::filesystem;

TimePoint at(std::int64_t ms) { return TimePoint(Millis(ms)); }

TEST(Contact, RenewalCountsFromTheSendingOfAnAcknowledgedHeartbeat) {
  Contact contact;
  EXPECT_FALSE(contact.lapsed(at(1'000'000))) << "never joined: there is no lease to lose";
  contact.welcomed(at(0), {Millis(100), Millis(1000), Millis(5000)});
  EXPECT_FALSE(contact.lapsed(at(800)));
  EXPECT_TRUE(contact.lapsed(at(801))) << "the margin is a fifth of the lease";
  const auto first = contact.beat(at(500));
  (void)contact.beat(at(600));
  contact.acknowledged(first);
  EXPECT_FALSE(contact.lapsed(at(1300)));
  EXPECT_TRUE(contact.lapsed(at(1301)));
}

TEST(Contact, TwoSilentIntervalsAreAHalfOpenLine) {
  Contact contact;
  contact.welcomed(at(0), {Millis(100), Millis(1000), Millis(5000)});
  const auto number = contact.beat(at(10));
  (void)contact.beat(at(110));
  EXPECT_FALSE(contact.half_open(at(210)));
  EXPECT_TRUE(contact.half_open(at(211)));
  contact.acknowledged(number);
  EXPECT_FALSE(contact.half_open(at(211)));
  EXPECT_TRUE(contact.half_open(at(311)));
  contact.lost();
  EXPECT_FALSE(contact.half_open(at(10'000)));
  EXPECT_FALSE(contact.orphaned(at(5010)));
  EXPECT_TRUE(contact.orphaned(at(5011)));
}

TEST(JobFolders, WhatIsLeftCleanServesTheNextAttempt) {
  const TempFolder temp;
  JobFolders folders(temp.path(), {});
  const fs::path first = folders.take().value();
  ASSERT_TRUE(make_folders((first / "final").string()).ok());
  const fs::path second = folders.take().value();
  EXPECT_NE(first, second);
  folders.give_back(first);
  EXPECT_EQ(folders.take().value(), first) << "an empty final tree is as good as none";
}

TEST(JobFolders, WhatHoldsAnythingGoes) {
  const TempFolder temp;
  JobFolders folders(temp.path(), {});
  for (const char* file : {"resume.ckpt", "final/fathom.json"}) {
    const fs::path used = folders.take().value();
    ASSERT_TRUE(make_folders((used / "final").string()).ok());
    ASSERT_TRUE(write_file_atomic((used / file).string(), "x").ok());
    folders.give_back(used);
    EXPECT_FALSE(fs::exists(used));
    EXPECT_NE(folders.take().value(), used);
  }
}

TEST(JobFolders, OneThatWasSeenToBeCleanComesBackWithoutAnotherLook) {
  const TempFolder temp;
  JobFolders folders(temp.path(), {});
  const fs::path used = folders.take().value();
  EXPECT_FALSE(folders.take_back(used)) << "nobody has looked";
  EXPECT_EQ(folders.look(used), JobFolders::Left::nothing);
  ASSERT_TRUE(make_folders((used / "final").string()).ok());
  EXPECT_EQ(folders.look(used), JobFolders::Left::empty_final);
  EXPECT_TRUE(folders.take_back(used));
  EXPECT_FALSE(folders.take_back(used)) << "once";
  EXPECT_EQ(folders.take().value(), used);
}

TEST(JobFolders, ALookFindsWhateverIsThere) {
  const TempFolder temp;
  JobFolders folders(temp.path(), {});
  const auto looks_full = [&](const std::function<void(const fs::path&)>& fill) {
    const fs::path used = folders.take().value();
    fill(used);
    return folders.look(used) == JobFolders::Left::something && !folders.take_back(used);
  };
  EXPECT_TRUE(
      looks_full([](const fs::path& folder) { EXPECT_TRUE(write_file_atomic((folder / "x").string(), "").ok()); }));
  EXPECT_TRUE(looks_full([](const fs::path& folder) { fs::create_directories(folder / "checkpoints"); }));
  EXPECT_TRUE(looks_full([](const fs::path& folder) { fs::create_directories(folder / "final" / "inner"); }));
  EXPECT_TRUE(looks_full([](const fs::path& folder) { fs::create_directory_symlink("/tmp", folder / "final"); }));
  EXPECT_TRUE(
      looks_full([](const fs::path& folder) { EXPECT_TRUE(write_file_atomic((folder / "final").string(), "").ok()); }));
  EXPECT_TRUE(looks_full([](const fs::path& folder) { fs::remove(folder); }));
  EXPECT_TRUE(looks_full([&](const fs::path& folder) {
    folders.spend(folder);
    EXPECT_TRUE(write_file_atomic((folder / "resume.ckpt").string(), "").ok());
  }));
  const fs::path spent = folders.take().value();
  folders.spend(spent);
  EXPECT_EQ(folders.look(spent), JobFolders::Left::nothing);
  EXPECT_FALSE(folders.take_back(spent));
}

TEST(JobFolders, OneThatSomethingWasToBeLaidInIsNotUsedAgain) {
  const TempFolder temp;
  JobFolders folders(temp.path(), {});
  const fs::path used = folders.take().value();
  folders.spend(used);
  folders.give_back(used);
  EXPECT_FALSE(fs::exists(used));
}

TEST(Oom, TheKernelsKillsOfOurGroupAreCounted) {
  const TempFolder temp;
  EXPECT_EQ(count_oom_kills(temp.path()), 0u) << "nothing is known";
  const auto write = [&](const std::string& name, const std::string& text) {
    fs::create_directories((temp.path() / name).parent_path());
    EXPECT_TRUE(write_file_atomic((temp.path() / name).string(), text).ok());
  };
  write("proc/vmstat", "pgfault 12\noom_kill 7\n");
  EXPECT_EQ(count_oom_kills(temp.path()), 7u) << "the machine's";
  write("sys/fs/cgroup/memory.events", "low 0\nhigh 0\noom 9\noom_kill 3\n");
  EXPECT_EQ(count_oom_kills(temp.path()), 3u) << "the container's";
  write("proc/self/cgroup", "1:name=systemd:/other\n0::/system.slice/fathom-worker.service\n");
  EXPECT_EQ(count_oom_kills(temp.path()), 3u);
  write("sys/fs/cgroup/system.slice/fathom-worker.service/memory.events", "oom_kill 1\n");
  EXPECT_EQ(count_oom_kills(temp.path()), 1u) << "our own, whatever happens to others";
}

TEST(DiskRoom, NoJobsBelowTheReserveAndAgainFromTwiceIt) {
  constexpr std::uint64_t kMiB = 1 << 20;
  DiskRoom room(256 * kMiB);
  EXPECT_EQ(room.look({300 * kMiB, 100'000 * kMiB}), "");
  EXPECT_EQ(room.look({255 * kMiB, 100'000 * kMiB}), "its disk has 255 MiB free; it takes jobs again from 512 MiB on");
  EXPECT_NE(room.look({300 * kMiB, 100'000 * kMiB}), "") << "not by turns at the edge";
  EXPECT_EQ(room.look({512 * kMiB, 100'000 * kMiB}), "");
  EXPECT_EQ(room.look({10 * kMiB, 100 * kMiB}), "") << "of a small disk a twentieth is enough";
  EXPECT_NE(room.look({4 * kMiB, 100 * kMiB}), "");
  EXPECT_EQ(room.look({}), "") << "not known: the write will tell";
  EXPECT_GT(space_of("/").size, 0u);
}

TEST(Options, DevicesAreNamedInOrder) {
  const auto devices = parse_devices({"cpu:1", "cpu:4", "cuda:1"}, 3);
  ASSERT_TRUE(devices.ok());
  ASSERT_EQ(devices->size(), 3u);
  EXPECT_EQ((*devices)[1].name, "cpu:1");
  EXPECT_EQ((*devices)[1].threads, 4u);
  EXPECT_EQ((*devices)[2].name, "cuda:1");
  EXPECT_EQ((*devices)[0].slots, 3u);
  for (const char* bad : {"cpu", "cpu:", "cpu:0", "cpu:x", "tpu:1", "cpu:1x", "cuda:-1"}) {
    EXPECT_FALSE(parse_devices({bad}, 1).ok()) << bad;
  }
  EXPECT_FALSE(parse_devices({"cuda:0", "cuda:0"}, 1).ok());
  EXPECT_FALSE(parse_devices({}, 1).ok());
}

TEST(Options, AutoTakesEveryGpuElseTheCores) {
  const std::string two =
      R"({"devices": [{"name": "cpu", "kind": "cpu"}, {"name": "cuda:0", "kind": "cuda"}, {"name": "cuda:1", "kind": "cuda"}]})";
  const std::string none = R"({"devices": [{"name": "cpu", "kind": "cpu"}], "note": "no driver"})";
  using Names = std::vector<std::string>;
  EXPECT_EQ(choose_devices({"auto"}, two, 16), (Names{"cuda:0", "cuda:1"}));
  EXPECT_EQ(choose_devices({"auto"}, none, 2), (Names{"cpu:1", "cpu:1"}));
  EXPECT_EQ(choose_devices({"auto"}, "no such program", 64).size(), 8u);
  const std::string measured =
      R"({"devices": [], "splits": [{"trainers": 2, "threads": 4, "rows_per_s": 9}, {"trainers": 1, "threads": 8}]})";
  EXPECT_EQ(choose_devices({"auto"}, measured, 8), (Names{"cpu:4", "cpu:4"}));
  EXPECT_EQ(choose_devices({"cpu:4"}, two, 16), (Names{"cpu:4"}));
}

TEST(Options, TheShippedFileHoldsEveryDefault) {
  Options options;
  Config config;
  bind_options(config, options);
  const std::string before = config.describe();
  const auto read = config.read_file(FATHOM_SOURCE_DIR "/configs/worker.yaml");
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(config.describe(), before);
  const std::string text = read_file(FATHOM_SOURCE_DIR "/configs/worker.yaml").value();
  EXPECT_NE(text.find(before), std::string::npos) << "make it again with fathom-worker --print-config";
}

TEST(StateFolder, KeepsItsUidAndItsLock) {
  const TempFolder temp;
  const fs::path folder = temp.path() / "state";
  std::string uid;
  {
    const auto state = StateFolder::open(folder);
    ASSERT_TRUE(state.ok()) << state.error().message;
    uid = state->uid();
    EXPECT_EQ(uid.size(), 32u);
    const auto second = StateFolder::open(folder);
    ASSERT_FALSE(second.ok());
    EXPECT_EQ(second.error().code, Errc::failed_precondition);
    ASSERT_TRUE(make_folders((state->jobs() / "7/1-1").string()).ok());
  }
  const auto again = StateFolder::open(folder);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->uid(), uid);
  EXPECT_TRUE(fs::is_empty(again->jobs())) << "folders of attempts that died with their worker go";
}

TEST(StateFolder, OtherVersionsAndForeignFoldersAreRefusedUntouched) {
  const TempFolder temp;
  ASSERT_TRUE(write_file_atomic((temp.path() / "VERSION").string(), "fathom-worker 9\n").ok());
  const auto other = StateFolder::open(temp.path());
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.error().code, Errc::unsupported);
  const TempFolder foreign;
  ASSERT_TRUE(write_file_atomic((foreign.path() / "thesis.tex").string(), "text").ok());
  const auto refused = StateFolder::open(foreign.path());
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Errc::already_exists);
  EXPECT_FALSE(fs::exists(foreign.path() / "VERSION"));
}

TEST(StateFolder, AFirstStartThatWasKilledIsNoForeignFolder) {
  const TempFolder temp;
  ASSERT_TRUE(write_file_atomic((temp.path() / "VERSION.tmp.Ab3dEf").string(), "fathom-wor").ok());
  EXPECT_TRUE(StateFolder::open(temp.path()).ok());
  const TempFolder near;
  ASSERT_TRUE(write_file_atomic((near.path() / "VERSION.tmp.of-mine").string(), "text").ok());
  EXPECT_FALSE(StateFolder::open(near.path()).ok());
}

TEST(JobFolder, PathsThatLeadOutAreRefused) {
  for (const char* good : {"a", "a/b.txt", "A,B,C/x", "..a/b"}) EXPECT_TRUE(is_safe_relative(good)) << good;
  for (const char* bad : {"", "/a", "a/", "a//b", "..", "a/../b", ".", "./a", "a\\b", "a\nb"}) {
    EXPECT_FALSE(is_safe_relative(bad)) << bad;
  }
  const TempFolder temp;
  EXPECT_EQ(hash_file(temp.path(), "../x").error().code, Errc::invalid_argument);
  EXPECT_EQ(hash_file(temp.path(), "x").error().code, Errc::not_found);
}

TEST(JobFolder, TreesAreHashedInOrderAndLinksRefused) {
  const TempFolder temp;
  EXPECT_TRUE(hash_tree(temp.path() / "absent")->empty());
  ASSERT_TRUE(make_folders((temp.path() / "mr").string()).ok());
  ASSERT_TRUE(write_file_atomic((temp.path() / "z.json").string(), "z").ok());
  ASSERT_TRUE(write_file_atomic((temp.path() / "mr/a.bin").string(), "abc").ok());
  const auto files = hash_tree(temp.path());
  ASSERT_TRUE(files.ok());
  ASSERT_EQ(files->size(), 2u);
  EXPECT_EQ((*files)[0].path, "mr/a.bin");
  EXPECT_EQ((*files)[0].sha256, sha256_hex("abc"));
  EXPECT_EQ((*files)[0].size, 3u);
  fs::create_symlink("/etc/passwd", temp.path() / "mr/link");
  EXPECT_FALSE(hash_tree(temp.path()).ok());
}

TEST(ArtifactCache, LaysWhatItKeptAndDropsWhatIsBrokenOrOld) {
  const TempFolder temp;
  ArtifactCache cache(temp.path() / "cache", 100);
  const auto source = temp.path() / "file";
  const std::string text(40, 'x');
  ASSERT_TRUE(write_file_atomic(source.string(), text).ok());
  const std::string hash = sha256_hex(text);
  EXPECT_FALSE(cache.lay(hash, temp.path() / "out").value());
  cache.keep(source, hash);
  EXPECT_TRUE(cache.lay(hash, temp.path() / "out").value());
  EXPECT_EQ(read_file((temp.path() / "out").string()).value(), text);
  fs::remove(source);
  ASSERT_TRUE(write_file_atomic((temp.path() / "cache" / hash.substr(0, 2) / hash).string(), "broken").ok());
  EXPECT_FALSE(cache.lay(hash, temp.path() / "out2").value());
  EXPECT_FALSE(fs::exists(temp.path() / "out2"));
  for (char name = 'a'; name < 'g'; ++name) {
    ASSERT_TRUE(write_file_atomic(source.string(), std::string(40, name)).ok());
    cache.keep(source, sha256_hex(std::string(40, name)));
  }
  EXPECT_TRUE(cache.lay(sha256_hex(std::string(40, 'f')), temp.path() / "out").value());
  EXPECT_FALSE(cache.lay(sha256_hex(std::string(40, 'a')), temp.path() / "out").value());
}

TEST(Loop, RunsInOrderAndTimersWhenDue) {
  ThreadLoop loop;
  std::vector<int> seen;
  int rounds = 0;
  loop.set_after_batch([&] { ++rounds; });
  loop.post_after(Millis(20), [&] {
    seen.push_back(3);
    loop.stop();
  });
  loop.post_after(Millis(5), [&] { seen.push_back(2); });
  loop.post([&] { seen.push_back(1); });
  loop.run();
  EXPECT_EQ(seen, (std::vector<int>{1, 2, 3}));
  EXPECT_GE(rounds, 1);  // on a busy machine timers that are due together share a batch
}

TEST(TrainerProcess, AMissingProgramIsAnErrorAndExitsAreTold) {
  const TempFolder temp;
  const std::string output = (temp.path() / "out").string();
  EXPECT_EQ(TrainerProcess::start({"/nowhere/trainer", {}, output, {}}, {}).error().code, Errc::not_found);
  std::atomic<int> status{-1};
  {
    auto process = TrainerProcess::start({"/bin/sh", {"-c", "echo said; exit 7"}, output, {}},
                                         {[](auto) {}, [&](int code) { status = code; }});
    ASSERT_TRUE(process.ok()) << process.error().message;
    for (int tries = 0; tries < 500 && !fs::exists(output); ++tries) ::usleep(2000);
    for (int tries = 0; tries < 500 && read_file(output).value().empty(); ++tries) ::usleep(2000);
    for (int tries = 0; tries < 500 && status == -1; ++tries) ::usleep(2000);
  }
  EXPECT_EQ(describe_exit(status), "exit code 7");
  EXPECT_EQ(read_file(output).value(), "said\n");
  {
    auto process = TrainerProcess::start({"/bin/sh", {"-c", "exec sleep 100"}, output, {}},
                                         {[](auto) {}, [&](int code) { status = code; }});
    ASSERT_TRUE(process.ok());
  }
  EXPECT_EQ(describe_exit(status).substr(0, 8), "signal 9");
}

}  // namespace
}  // namespace fathom::worker
