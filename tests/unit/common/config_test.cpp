// Config files: strict, and every mistake with its place.
#include "common/config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>
#include <sstream>

#include "coordinator/settings.hpp"

namespace fathom {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Settings {
  bool on = false;
  std::int64_t big = 0;
  std::uint32_t count = 3;
  double share = 0.5;
  std::string name = "x";
  std::vector<std::string> list = {"a"};
  Millis wait{1000};
  Bytes size{1024};
};

class ConfigTest : public ::testing::Test {
 protected:
  void SetUp() override {
    config_.bind("on", s_.on, "A switch.");
    config_.bind("big", s_.big, "A number.");
    config_.bind("limits.count", s_.count, "A small number.", {.min = 1, .max = 10});
    config_.bind("limits.share", s_.share, "A share.", {.min = 0, .max = 1});
    config_.bind("name", s_.name, "A name.", {.choices = {"x", "yellow", "green"}});
    config_.bind("list", s_.list, "A list.");
    config_.bind("wait", s_.wait, "A time.", {.min = 10});
    config_.bind("limits.size", s_.size, "A size.");
  }
  std::string error(std::string_view yaml) {
    const Status read = config_.read_text(yaml, "file.yaml");
    return read ? "no error" : read.error().message;
  }
  Settings s_;
  Config config_;
};

TEST_F(ConfigTest, ReadsEveryType) {
  ASSERT_EQ(error("on: true\nbig: -9000000000\nname: 'green'\nlist: [b, \"c\"]\nwait: 2.5s\n"
                  "limits:\n  count: 7\n  share: 1e-1\n  size: 4MiB\n"),
            "no error");
  EXPECT_TRUE(s_.on);
  EXPECT_EQ(s_.big, -9000000000);
  EXPECT_EQ(s_.name, "green");
  EXPECT_THAT(s_.list, ElementsAre("b", "c"));
  EXPECT_EQ(s_.wait, Millis(2500));
  EXPECT_EQ(s_.count, 7U);
  EXPECT_EQ(s_.share, 0.1);
  EXPECT_EQ(s_.size.value, 4U << 20);
}

TEST_F(ConfigTest, AnEmptyFileAndEmptySectionsKeepDefaults) {
  EXPECT_EQ(error(""), "no error");
  EXPECT_EQ(error("# only a comment\nlimits:\n"), "no error");
  EXPECT_EQ(s_.count, 3U);
}

TEST_F(ConfigTest, NamesThePlaceAndTheNearestKey) {
  EXPECT_EQ(error("on: true\nlimits:\n  cuont: 4\n"),
            "file.yaml:3:3: unknown key limits.cuont; did you mean limits.count?");
  EXPECT_THAT(error("zzzzzzzz: 1\n"), HasSubstr("file.yaml:1:1: unknown key zzzzzzzz; known keys: on, big, limits"));
  EXPECT_THAT(error("limits: 3\n"), HasSubstr("file.yaml:1:9: limits: expected keys below it"));
  EXPECT_THAT(error("on: true\non: false\n"), HasSubstr("file.yaml:2:1: on stands here a second time"));
}

TEST_F(ConfigTest, RefusesWrongTypes) {
  EXPECT_EQ(error("limits:\n  count: many\n"), "file.yaml:2:10: limits.count: \"many\": expected a whole number");
  EXPECT_THAT(error("limits: {count: 1.5}\n"), HasSubstr("expected a whole number"));
  EXPECT_THAT(error("limits: {count: -1}\n"), HasSubstr("between 0 and 4294967295"));
  EXPECT_THAT(error("limits: {count: 11}\n"), HasSubstr("at most 10"));
  EXPECT_THAT(error("limits: {count: \"5\"}\n"), HasSubstr("without quotes"));
  EXPECT_THAT(error("limits: {share: .nan}\n"), HasSubstr("expected a number"));
  EXPECT_THAT(error("on: yes\n"), HasSubstr("expected true or false"));
  EXPECT_THAT(error("wait: 5\n"), HasSubstr("expected a duration such as"));
  EXPECT_THAT(error("wait: 5ms\n"), HasSubstr("at least 10ms"));
  EXPECT_THAT(error("wait: 1e999s\n"), HasSubstr("expected a duration"));
  EXPECT_THAT(error("name: yelow\n"), HasSubstr("one of x, yellow, green; did you mean yellow?"));
  EXPECT_THAT(error("name: [x]\n"), HasSubstr("name: expected a value"));
  EXPECT_THAT(error("list: {a: b}\n"), HasSubstr("list: expected a list"));
  EXPECT_THAT(error("- a\n"), HasSubstr("expected lines of"));
}

TEST_F(ConfigTest, SaysAllMistakesAndChangesNothing) {
  EXPECT_EQ(
      error("on: true\nbig: x\nlimits: {count: 5, share: 2}\n"),
      "file.yaml:2:6: big: \"x\": expected a whole number\nfile.yaml:3:27: limits.share: \"2\": expected at most 1");
  EXPECT_FALSE(s_.on);
  EXPECT_EQ(s_.count, 3U);
}

TEST_F(ConfigTest, ExplainsATab) {
  const std::string message = error("limits:\n\tcount: 5\n");
  EXPECT_THAT(message, HasSubstr("file.yaml:2:"));
  EXPECT_THAT(message, HasSubstr("tab"));
}

TEST_F(ConfigTest, EnvironmentThenFlagsWin) {
  ASSERT_EQ(error("limits: {count: 5}\nwait: 3s\n"), "no error");
  ::setenv("FATHOM_CONFIG_TEST_LIMITS_COUNT", "6", 1);
  ::setenv("FATHOM_CONFIG_TEST_LIST", "x,y", 1);
  EXPECT_TRUE(config_.read_environment("FATHOM_CONFIG_TEST_").ok());
  EXPECT_TRUE(config_.set("wait", "4s", "--wait").ok());
  EXPECT_EQ(s_.count, 6U);
  EXPECT_THAT(s_.list, ElementsAre("x", "y"));
  EXPECT_EQ(s_.wait, Millis(4000));
  EXPECT_EQ(config_.set("wait", "soon", "--wait").error().message.substr(0, 14), "--wait: \"soon\"");
  ::setenv("FATHOM_CONFIG_TEST_NOPE", "1", 1);
  EXPECT_THAT(config_.read_environment("FATHOM_CONFIG_TEST_").error().message, HasSubstr("FATHOM_CONFIG_TEST_NOPE"));
  EXPECT_TRUE(
      config_.read_environment("FATHOM_CONFIG_TEST_", [](std::string_view n) { return n.ends_with("NOPE"); }).ok());
  for (const char* name : {"LIMITS_COUNT", "LIST", "NOPE"})
    ::unsetenv((std::string("FATHOM_CONFIG_TEST_") + name).c_str());
}

TEST_F(ConfigTest, AMissingFileIsNamed) {
  const Status read = config_.read_file("no/such/file.yaml");
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().code, Errc::not_found);
  EXPECT_THAT(read.error().message, HasSubstr("no/such/file.yaml"));
}

TEST_F(ConfigTest, DescribesWhatItReads) {
  s_.name = "yellow";
  s_.list = {"a b", "true"};
  const std::string yaml = config_.describe();
  EXPECT_THAT(yaml, HasSubstr("# A time.\nwait: 1s\n"));
  EXPECT_THAT(yaml, HasSubstr("list: [\"a b\", \"true\"]"));
  EXPECT_EQ(error(yaml), "no error") << yaml;
  EXPECT_THAT(s_.list, ElementsAre("a b", "true"));
}

// configs/coordinator.yaml is the reference that people read: every key, at its default.
TEST(CoordinatorSettings, FileHoldsEveryDefault) {
  std::ifstream file(FATHOM_SOURCE_DIR "/configs/coordinator.yaml");
  std::stringstream text;
  text << file.rdbuf();
  coordinator::Settings settings;
  Config config;
  coordinator::bind(config, settings);
  EXPECT_THAT(text.str(), ::testing::EndsWith(config.describe()));
  const Status read = config.read_text(text.str(), "configs/coordinator.yaml");
  EXPECT_TRUE(read.ok()) << read.error().message;
}

TEST(Nearest, FindsOnlyWhatIsNear) {
  const std::vector<std::string> words{"lease", "heartbeat", "listen"};
  EXPECT_EQ(nearest("leese", words), "lease");
  EXPECT_EQ(nearest("hartbeat", words), "heartbeat");
  EXPECT_EQ(nearest("colour", words), "");
}

}  // namespace
}  // namespace fathom
