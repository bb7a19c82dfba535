// Sweep files as the commands read them: from wherever the command is started.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "cli/sweep_file.hpp"

namespace fathom::cli {
namespace {

namespace fs = std::filesystem;

class SweepFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "fathom-sweep-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { fs::remove_all(folder_); }
  std::string write(const fs::path& name, const std::string& text) const {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name) << text;
    return (folder_ / name).string();
  }
  fs::path folder_;
};

TEST_F(SweepFiles, AnIncludeStandsBesideTheFileThatNamesIt) {
  write("base/tasks.yaml", "tasks:\n  mr: {path: data/mr}\n");
  write("base/all.yaml", "include: tasks.yaml\nmodel: {path: models/m}\ntrain: {epochs: 2}\n");
  SweepFile options;
  options.file = write("one.yaml", "version: 1\nname: one\ninclude: base/all.yaml\nstages:\n  adapter: {}\n");
  const auto checked = check_sweep(options);
  ASSERT_TRUE(checked) << checked.error().message;
  for (const auto& error : checked->errors) ADD_FAILURE() << sweeps::render(error);
  EXPECT_EQ(checked->plan.jobs.size(), 1u);
  // Under the names that the coordinator will look for: relative, nothing of this machine.
  EXPECT_EQ(checked->includes.size(), 2u);
  EXPECT_TRUE(checked->includes.contains("base/all.yaml"));
  EXPECT_TRUE(checked->includes.contains("base/tasks.yaml"));
}

TEST_F(SweepFiles, AMissingIncludeIsAnErrorAtItsLine) {
  SweepFile options;
  options.file = write("one.yaml", "version: 1\nname: one\ninclude: absent.yaml\n");
  const auto checked = check_sweep(options);
  ASSERT_TRUE(checked) << checked.error().message;
  ASSERT_FALSE(checked->errors.empty());
  EXPECT_EQ(checked->errors.front().line, 3u);
}

}  // namespace
}  // namespace fathom::cli
