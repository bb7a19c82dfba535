// What a trainer is kept from, seen from inside: a shell takes the trainer's place and writes down what it finds.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <future>

#include "common/files.hpp"
#include "common/protocol/wire.pb.h"
#include "tests/unit/worker/temp_folder.hpp"
#include "worker/sandbox.hpp"
#include "worker/trainer_process.hpp"

namespace fathom::worker {
namespace {

namespace fs = std::filesystem;

class SandboxTest : public testing::Test {
 protected:
  // Runs `script` as a trainer; what it printed.
  std::string run(const std::string& script, const Sandbox& sandbox) {
    const fs::path program = temp_.path() / "trainer";
    EXPECT_TRUE(write_file_atomic(program.string(), "#!/bin/sh\n" + script + "\n", 0755).ok());
    const std::string output = (temp_.path() / "output").string();
    std::promise<int> ended;
    Trainer::Callbacks callbacks;
    callbacks.on_envelope = [](auto) {};
    callbacks.on_exit = [&](int status) { ended.set_value(status); };
    const auto process =
        TrainerProcess::start({program.string(), {}, output, scratch().string()}, std::move(callbacks), sandbox);
    EXPECT_TRUE(process.ok()) << process.error().message;
    if (process.ok()) {
      EXPECT_EQ(ended.get_future().get(), 0);
    }
    return read_file(output).value();
  }
  [[nodiscard]] fs::path scratch() const { return temp_.path() / "scratch" / "cpu-0"; }
  // A path that any user may pass, as a state folder's is not.
  void SetUp() override { ASSERT_EQ(::chmod(temp_.path().c_str(), 0755), 0); }

  TempFolder temp_;
};

TEST_F(SandboxTest, PassesOnWhatATrainerHasUseForAndNoSecrets) {
  ::setenv("AWS_SECRET_ACCESS_KEY", "planted", 1);
  ::setenv("FATHOM_WORKER_JOIN_TOKEN", "planted", 1);
  ::setenv("FATHOM_TOKEN", "planted", 1);
  ::setenv("OMP_WAIT_POLICY", "passive", 1);
  ::setenv("MY_LIBRARY", "wanted", 1);
  const std::string seen = run("env", Sandbox::make("none", 0, {"MY_LIBRARY"}).value());
  EXPECT_EQ(seen.find("planted"), std::string::npos) << seen;
  EXPECT_NE(seen.find("OMP_WAIT_POLICY=passive"), std::string::npos) << seen;
  EXPECT_NE(seen.find("MY_LIBRARY=wanted"), std::string::npos) << seen;
  EXPECT_NE(seen.find("HOME=" + scratch().string()), std::string::npos) << seen;
  for (const char* name : {"AWS_SECRET_ACCESS_KEY", "FATHOM_WORKER_JOIN_TOKEN", "FATHOM_TOKEN", "MY_LIBRARY"})
    ::unsetenv(name);
}

TEST_F(SandboxTest, HasNoDescriptorsButItsOwn) {
  const int planted = ::open("/dev/null", O_RDONLY);  // without O_CLOEXEC, as a library might
  ASSERT_GE(planted, 0);
  const std::string seen = run("ls /proc/self/fd | wc -l; ls -l /proc/$$/fd", Sandbox{});
  // Three standard ones and the channel; `ls` has one more for the folder, the shell one for the script.
  EXPECT_LE(std::stoi(seen), 5) << seen;
  ::close(planted);
}

TEST_F(SandboxTest, HasLimitsAndAFolderOfItsOwnThatIsRemoved) {
  const std::string seen =
      run("ulimit -c; ulimit -n; pwd; touch left-behind; grep NoNewPrivs /proc/self/status", Sandbox{});
  EXPECT_TRUE(seen.starts_with("0\n")) << seen;
  EXPECT_NE(seen.find("\n4096\n"), std::string::npos) << seen;
  EXPECT_NE(seen.find("\n" + scratch().string() + "\n"), std::string::npos) << seen;
  EXPECT_NE(seen.find("NoNewPrivs:\t1"), std::string::npos) << seen;
  EXPECT_FALSE(fs::exists(scratch()));
}

TEST_F(SandboxTest, AnAddressSpaceLimitIsKept) {
  const std::string seen = run("ulimit -v", Sandbox::make("none", std::uint64_t{1} << 30, {}).value());
  EXPECT_EQ(seen, "1048576\n");
}

TEST_F(SandboxTest, OfARootWorkerIsAnotherUserThatReadsAndCannotWrite) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can start processes as another user";
  const fs::path secret = temp_.path() / "kept";
  ASSERT_TRUE(write_file_atomic(secret.string(), "data\n", 0600).ok());
  const std::string script = "id -u; cat " + secret.string() + "; echo x 2>/dev/null >" + secret.string() +
                             " || echo refused; touch mine && echo wrote; grep CapEff /proc/self/status; kill -0 " +
                             std::to_string(::getpid()) + " 2>/dev/null || echo alone";
  const auto sandbox = Sandbox::make("auto", 0, {});
  ASSERT_TRUE(sandbox.ok()) << sandbox.error().message;
  if (!sandbox->switch_user) GTEST_SKIP() << "this container lacks a capability that it takes";
  EXPECT_EQ(run(script, *sandbox),
            std::to_string(sandbox->uid) + "\ndata\nrefused\nwrote\nCapEff:\t0000000000000004\nalone\n");
}

TEST_F(SandboxTest, ANamedUserReadsOnlyWhatItMay) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can start processes as another user";
  const fs::path secret = temp_.path() / "kept";
  ASSERT_TRUE(write_file_atomic(secret.string(), "data\n", 0600).ok());
  const auto sandbox = Sandbox::make("54321", 0, {});
  ASSERT_TRUE(sandbox.ok()) << sandbox.error().message;
  EXPECT_EQ(
      run("id -u; cat " + secret.string() + " 2>/dev/null || echo refused; grep CapEff /proc/self/status", *sandbox),
      "54321\nrefused\nCapEff:\t0000000000000000\n");
}

TEST_F(SandboxTest, WhatIsGivenCanBeReadAndItsFoldersWritten) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give files away";
  const fs::path folder = temp_.path() / "jobs" / "1" / "1-1";
  ASSERT_TRUE(make_folders((folder / "inputs").string(), 0700).ok());
  ASSERT_TRUE(write_file_atomic((folder / "inputs" / "a").string(), "data\n", 0600).ok());
  const auto sandbox = Sandbox::make("54321", 0, {}).value();
  ASSERT_TRUE(sandbox.give(folder).ok());
  EXPECT_EQ(
      run("cat " + (folder / "inputs" / "a").string() + "; echo x 2>/dev/null >" + (folder / "inputs" / "a").string() +
              " || echo refused; echo y >" + (folder / "b").string() + " && echo wrote",
          sandbox),
      "data\nrefused\nwrote\n");
}

TEST(Sandbox, UnknownUsersAreRefused) {
  EXPECT_EQ(Sandbox::make("no-such-user", 0, {}).error().code, Errc::invalid_argument);
  if (::geteuid() == 0) {
    EXPECT_EQ(Sandbox::make("root", 0, {}).error().code, Errc::invalid_argument);
  }
}

}  // namespace
}  // namespace fathom::worker
