// The state folder as commands see it, answers that are problems, and the command line itself.
#include "cli/context.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/app.hpp"
#include "cli/client.hpp"
#include "cli/process.hpp"

namespace fathom::cli {
namespace {

using testing::HasSubstr;

class Folder {
 public:
  Folder() {
    std::string pattern = fs::temp_directory_path() / "fathom-cli-XXXXXX";
    context.state = mkdtemp(pattern.data());
  }
  ~Folder() { fs::remove_all(context.state); }
  void write(const fs::path& file, const std::string& text) const {
    fs::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  Context context;
};

TEST(Lock, IsHeldOnlyWhileSomebodyHoldsIt) {
  const Folder folder;
  EXPECT_EQ(lock_holder(folder.context), 0);
  folder.write(up_lock_file(folder.context), "4711\n");
  EXPECT_EQ(lock_holder(folder.context), 0);  // left behind by one that has died
  const int file = ::open(up_lock_file(folder.context).c_str(), O_RDWR);
  ASSERT_EQ(::flock(file, LOCK_EX), 0);
  EXPECT_EQ(lock_holder(folder.context), 4711);
  EXPECT_FALSE(running_up(folder.context));  // not ready: no up.json
  folder.write(up_info_file(folder.context), R"({"pid": 12, "address": "old"})");
  EXPECT_FALSE(running_up(folder.context));  // of an earlier one
  folder.write(up_info_file(folder.context),
               R"({"pid": 4711, "address": "127.0.0.1:7447", "root": "/data", "dashboard_port": 7448})");
  const auto info = running_up(folder.context);
  ASSERT_TRUE(info);
  EXPECT_EQ(info->address, "127.0.0.1:7447");
  EXPECT_EQ(info->dashboard_port, 7448);
  ::close(file);
}

TEST(ContactFiles, MissingOnesSayWhatToDo) {
  const Folder folder;
  EXPECT_THAT(contact(folder.context).error().message, HasSubstr("start one with 'fathom up'"));
  folder.write(address_file(folder.context), "127.0.0.1:7447\n");
  folder.write(token_file(folder.context), "secret\n");
  const auto found = contact(folder.context);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->host, "127.0.0.1");
  EXPECT_EQ(found->port, 7447);
  EXPECT_EQ(found->token, "secret");
}

TEST(Problem, DetailOrTheMistakesOfAFile) {
  EXPECT_EQ(problem_of({404, {}, R"({"title": "Not Found", "detail": "no sweep x"})"}).message, "no sweep x");
  EXPECT_EQ(problem_of({404, {}, R"({"title": "Not Found"})"}).code, Errc::not_found);
  EXPECT_THAT(problem_of({500, {}, "<html>"}).message, HasSubstr("status 500"));
  const Error mistakes = problem_of(
      {422,
       {},
       R"({"errors": [{"file": "s.yaml", "line": 3, "column": 2, "message": "unknown key", "text": " lrr: 1"}]})"});
  EXPECT_THAT(mistakes.message, HasSubstr("s.yaml:3:2: error: unknown key"));
  EXPECT_EQ(encode("a b/ü"), "a%20b%2F%C3%BC");
}

int run_with(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "fathom");
  std::vector<char*> plain;
  for (std::string& argument : arguments) plain.push_back(argument.data());
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  const int code = run_app(static_cast<int>(plain.size()), plain.data(), "1.2.3");
  testing::internal::GetCapturedStdout();
  testing::internal::GetCapturedStderr();
  return code;
}

TEST(App, ExitCodes) {
  const Folder folder;
  const std::string state = folder.context.state.string();
  EXPECT_EQ(run_with({"--version"}), 0);
  EXPECT_EQ(run_with({"--help"}), 0);
  EXPECT_EQ(run_with({}), 2);
  EXPECT_EQ(run_with({"frobnicate"}), 2);
  EXPECT_EQ(run_with({"list", "--frobnicate"}), 2);
  EXPECT_EQ(run_with({"submit"}), 2);
  EXPECT_EQ(run_with({"predict", "--adapter", state}), 2);            // nothing to classify
  EXPECT_EQ(run_with({"predict", "--adapter", state, "a text"}), 1);  // no fathom.json there
  EXPECT_EQ(run_with({"--state", state, "list"}), 1);
  EXPECT_EQ(run_with({"list", "--state", state, "--json"}), 1);
  EXPECT_EQ(run_with({"--state", state, "down"}), 0);
  EXPECT_EQ(run_with({"--state", state, "up", "--root", "/nowhere/at/all"}), 1);
  EXPECT_EQ(run_with({"validate", state + "/none.yaml"}), 1);
  folder.write(folder.context.state / "bad.yaml", "version: 1\nnam: x\n");
  EXPECT_EQ(run_with({"validate", state + "/bad.yaml"}), 1);
  EXPECT_EQ(run_with({"data", state + "/bad.yaml"}), 1);
}

TEST(Process, EndsAreDescribedAndLastWordsFound) {
  const Folder folder;
  const std::string log = folder.context.state / "log";
  const auto pid = start_process({"/bin/sh", "-c", "echo fathom-x: no free port >&2; echo bye; exit 3"}, log);
  ASSERT_TRUE(pid);
  int status = 0;
  ASSERT_EQ(::waitpid(*pid, &status, 0), *pid);
  EXPECT_EQ(describe_exit(status), "ended with exit code 3");
  EXPECT_EQ(last_words(log), "fathom-x: no free port");
  EXPECT_FALSE(start_process({"/nowhere/program"}, log));
}

}  // namespace
}  // namespace fathom::cli
