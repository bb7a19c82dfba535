// Fusions whose members are adapters in existing folders below the data root.
#include <gtest/gtest.h>

#include "data/identity.hpp"
#include "tests/unit/trainer/engine_fixture.hpp"

namespace fathom::trainer::testing_support {
namespace {

class EngineFolders : public EngineTest {
 protected:
  // Members a and b trained; both laid into root/kept/NAME, a also as an input of a job.
  void SetUp() override {
    inputs_ = make_members("plain");
    for (const std::string name : {"a", "b"}) copy(folder("member-" + name) / "final", root_ / "kept" / name);
  }
  static void copy(const fs::path& from, const fs::path& to) {
    fs::create_directories(to.parent_path());
    fs::copy(from, to);
  }
  // A fusion of both from folders.
  static json settings(const std::string& a = "kept/a", const std::string& b = "kept/b") {
    auto settings = fusion_settings();
    settings["from"] = {{{"name", "a"}, {"folder", a}}, {{"name", "b"}, {"folder", b}}};
    return settings;
  }
  json inputs_;
};

TEST_F(EngineFolders, AreMembersAsJobsAre) {
  const auto by_jobs = run("plain", fusion_settings(), inputs_);
  const auto by_folders = run("folders", settings());
  ASSERT_TRUE(by_jobs->finished()) << by_jobs->message;
  ASSERT_TRUE(by_folders->finished()) << by_folders->message;
  EXPECT_EQ(weights("plain"), weights("folders"));
  EXPECT_EQ(by_jobs->result["rows"], by_folders->result["rows"]);
  // What the job works with is the data and what lies in the folders.
  EXPECT_NE(by_jobs->result["data_sha256"], by_folders->result["data_sha256"]);
}

TEST_F(EngineFolders, MixWithJobs) {
  auto mixed = settings();
  mixed["from"][0] = {{"name", "a"}, {"job", "0123456789abcdef"}};
  copy(folder("member-a") / "final", folder("mixed") / "inputs/a");
  const auto record = run("mixed", mixed, {{"members", json::array({inputs_["members"][0]})}});
  ASSERT_TRUE(record->finished()) << record->message;
  const auto by_jobs = run("plain", fusion_settings(), inputs_);
  EXPECT_EQ(by_jobs->result["rows"], record->result["rows"]);
}

TEST_F(EngineFolders, NeedNoHeadAndNoCard) {
  for (const auto* file :
       {"fathom.json", "head_config.json", "pytorch_model_head.bin", "model_head.safetensors", "adapter.safetensors"})
    fs::remove(root_ / "kept/b" / file);
  const auto record = run("bare", settings());
  ASSERT_TRUE(record->finished()) << record->message;
  auto with_head = settings("kept/b", "kept/a");
  with_head["fusion"]["head"] = "member";
  const auto headless = run("headless", with_head);
  EXPECT_EQ(headless->error_class, "model");
  EXPECT_NE(headless->message.find("head_config.json"), std::string::npos) << headless->message;
}

// The head of the folder's own task has other outputs; a fusion for "a" trains one of its own.
TEST_F(EngineFolders, AnyHeadOfAnotherTaskIsIgnored) {
  auto head = json::parse(std::ifstream(root_ / "kept/b/head_config.json"));
  head["config"]["num_labels"] = 7;
  std::ofstream(root_ / "kept/b/head_config.json") << head.dump();
  const auto record = run("other-head", settings());
  ASSERT_TRUE(record->finished()) << record->message;
}

TEST_F(EngineFolders, SayWhatDoesNotFit) {
  const auto failure = [&](const std::string& name, const json& settings) {
    const auto record = run(name, settings);
    EXPECT_FALSE(record->finished()) << name;
    return record->error_class + ": " + record->message;
  };
  EXPECT_NE(failure("missing", settings("kept/c")).find("kept/c: adapter_config.json is not there"), std::string::npos);
  EXPECT_NE(failure("outside", settings("../kept/a")).find("config: "), std::string::npos);
  auto config = json::parse(std::ifstream(root_ / "kept/a/adapter_config.json"));
  config["hidden_size"] = 32;
  std::ofstream(root_ / "kept/a/adapter_config.json") << config.dump();
  EXPECT_NE(failure("size", settings()).find("made for hidden_size 32"), std::string::npos);
  auto card = json::parse(std::ifstream(root_ / "kept/b/fathom.json"));
  card["result"]["base_sha256"] = std::string(64, '0');
  std::ofstream(root_ / "kept/b/fathom.json") << card.dump();
  EXPECT_NE(failure("base", settings("kept/b", "kept/b")).find("trained on other weights"), std::string::npos);
}

TEST_F(EngineFolders, HashCoversWhatIsRead) {
  data::HashCache cache;
  const auto before = *data::adapter_sha256(cache, root_ / "kept/a");
  EXPECT_NE(before, *data::adapter_sha256(cache, root_ / "kept/b"));
  std::ofstream(root_ / "kept/a/README.md") << "for people";
  EXPECT_EQ(before, *data::adapter_sha256(cache, root_ / "kept/a"));
  fs::remove(root_ / "kept/a/head_config.json");
  EXPECT_NE(before, *data::adapter_sha256(cache, root_ / "kept/a"));
  EXPECT_FALSE(data::adapter_sha256(cache, root_).ok());
}

}  // namespace
}  // namespace fathom::trainer::testing_support
