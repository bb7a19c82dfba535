// Where collected weights go, and what the folders say about themselves.
#include "cli/collected.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fathom::cli {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

CollectedJob job(const std::string& kind, const std::string& drop, double lr, int seed, double objective,
                 const std::string& state = "succeeded") {
  json detail = {{"id", "0123456789abcdef"},
                 {"sweep", "s"},
                 {"stage", kind},
                 {"kind", kind},
                 {"task", "mr"},
                 {"drop", drop},
                 {"set", ""},
                 {"keep", 0},
                 {"seed", seed},
                 {"state", state},
                 {"objective", objective},
                 {"files", {{{"path", "fathom.json"}, {"sha256", std::string(64, 'a')}}}}};
  if (lr > 0) detail["parameters"] = {{"train.lr", lr}};
  if (kind == "fusion" || kind == "prune") detail["set"] = "mr+sms";
  return {detail, ""};
}

std::vector<std::string> folders(std::vector<CollectedJob> jobs, bool best = false, bool maximize = true) {
  place_jobs(jobs, best, maximize);
  std::vector<std::string> out;
  for (const CollectedJob& one : jobs) out.push_back(one.folder);
  return out;
}

TEST(PlaceJobs, OneSettingNeedsNoFolderOfItsOwn) {
  EXPECT_THAT(folders({job("adapter", "standard", 0.001, 1, 0.8), job("adapter", "robust-00-05", 0.001, 2, 0.8)}),
              ElementsAre("adapters/mr/standard/seed1", "adapters/mr/robust-00-05/seed2"));
}

TEST(PlaceJobs, SettingsThatVaryAreNamed) {
  EXPECT_THAT(folders({job("adapter", "standard", 0.001, 1, 0.8), job("adapter", "standard", 0.003, 1, 0.9),
                       job("adapter", "standard", 0.01, 1, 0.9, "stopped"), job("evaluate", "standard", 0, 1, 0.9)}),
              ElementsAre("adapters/mr/standard/lr=0.001/seed1", "adapters/mr/standard/lr=0.003/seed1", "", ""));
}

TEST(PlaceJobs, BestIsByTheMeanOverSeedsOfSettingsThatHaveThemAll) {
  const std::vector<CollectedJob> jobs = {
      job("adapter", "standard", 0.001, 1, 0.8), job("adapter", "standard", 0.001, 2, 0.8),
      job("adapter", "standard", 0.003, 1, 0.9), job("adapter", "standard", 0.003, 2, 0.6),
      job("adapter", "standard", 0.01, 1, 0.99)};
  EXPECT_THAT(folders(jobs, true), ElementsAre("adapters/mr/standard/seed1", "adapters/mr/standard/seed2", "", "", ""));
  EXPECT_THAT(folders(jobs, true, false),
              ElementsAre("", "", "adapters/mr/standard/seed1", "adapters/mr/standard/seed2", ""));
}

TEST(PlaceJobs, FusionsPrunedOnesAndStagesThatShareAPlace) {
  std::vector<CollectedJob> jobs = {job("fusion", "standard", 0, 1, 0.8), job("prune", "standard", 0, 1, 0.8)};
  jobs[1].detail["keep"] = 2;
  EXPECT_THAT(folders(jobs),
              ElementsAre("fusions/mr/mr+sms/standard/seed1", "fusions/mr/mr+sms/standard/keep-2/seed1"));
  // Layers keep different numbers below a threshold: it is named as a setting.
  jobs = {job("prune", "standard", 0, 1, 0.8), job("prune", "standard", 0, 1, 0.8)};
  jobs[0].detail["parameters"] = {{"prune.threshold", 0.1}};
  jobs[1].detail["parameters"] = {{"prune.threshold", 0.25}};
  for (auto& one : jobs) one.detail["keep"] = nullptr;
  EXPECT_THAT(folders(jobs), ElementsAre("fusions/mr/mr+sms/standard/threshold/threshold=0.1/seed1",
                                         "fusions/mr/mr+sms/standard/threshold/threshold=0.25/seed1"));
  EXPECT_THAT(folders({job("finetune", "", 0, 2, 0.8)}), ElementsAre("models/mr/seed2"));
  jobs = {job("adapter", "standard", 0, 1, 0.8), job("adapter", "standard", 0, 1, 0.8)};
  jobs[1].detail["stage"] = "long";
  EXPECT_THAT(folders(jobs),
              ElementsAre("adapters/mr/standard/stage=adapter/seed1", "adapters/mr/standard/stage=long/seed1"));
}

TEST(PlaceJobs, NamesFromOutsideStayInsideTheFolder) {
  CollectedJob evil = job("adapter", "standard", 0, 1, 0.8);
  evil.detail["task"] = "../../etc";
  EXPECT_THAT(folders({evil}), ElementsAre("adapters/_.._.._etc/standard/seed1"));
  EXPECT_EQ(setting_label({{"train.lr", 1e-4}, {"adapter.config", "a/b c"}}), "config=a_b_c,lr=0.0001");
}

TEST(KeptEpochs, HaveFoldersOfTheirOwn) {
  std::vector<CollectedJob> jobs = {job("adapter", "standard", 0, 1, 0.8)};
  place_jobs(jobs, false, true);
  CollectedJob& one = jobs.front();
  EXPECT_EQ(collected_path(one, "fathom.json"), "adapters/mr/standard/seed1/fathom.json");
  EXPECT_EQ(collected_path(one, "epochs/12/mr/a.bin"), "epochs/adapters/mr/standard/seed1/epoch-12/mr/a.bin");
  // A member of a fusion that is called so.
  EXPECT_EQ(collected_path(one, "epochs/adapter.bin"), "adapters/mr/standard/seed1/epochs/adapter.bin");
  EXPECT_THAT(kept_epochs(one), ElementsAre());
  EXPECT_THAT(top_readme("s", jobs, ""), Not(HasSubstr("epoch")));
  one.detail["result"]["best_epochs"] = {{{"epoch", 3}, {"objective", 0.8}}, {{"epoch", 12}, {"objective", 0.75}}};
  const std::string folder = "epochs/adapters/mr/standard/seed1/epoch-12";
  EXPECT_THAT(kept_epochs(one), ElementsAre(std::pair(folder, 0.75)));
  EXPECT_THAT(folder_readme(one, one.folder), HasSubstr("`" + folder + "`, objective 0.7500"));
  EXPECT_THAT(folder_readme(one, folder), HasSubstr("load_adapter(\"" + folder));
  EXPECT_THAT(top_readme("s", jobs, "test"), HasSubstr("| `" + folder + "` | 0123456789abcdef | 0.7500 |"));
  EXPECT_THAT(top_readme("s", jobs, "test"), HasSubstr("each row of the split test"));
}

TEST(Readme, ShowsHowToLoadAndSkipsLayersOfRobustAdapters) {
  CollectedJob robust = job("adapter", "robust-00-05", 0, 1, 0.8);
  robust.detail["settings"] = {{"model", {{"path", "models/minilm"}}},
                               {"drop", {{"kind", "robust"}, {"lo", 0}, {"hi", 5}}}};
  const std::string text = folder_readme(robust, "adapters/mr/robust-00-05/seed1");
  EXPECT_THAT(text, HasSubstr("model.load_adapter(\"adapters/mr/robust-00-05/seed1\""));
  EXPECT_THAT(text, HasSubstr("skip_layers=list(range(n))"));
  EXPECT_THAT(text, HasSubstr("fathom predict --adapter adapters/mr/robust-00-05/seed1"));
  const CollectedJob fusion = job("fusion", "standard", 0, 1, 0.8);
  EXPECT_THAT(folder_readme(fusion, "f"), HasSubstr("load_adapter_setup(\"f\""));
  EXPECT_THAT(folder_readme(fusion, "f"), Not(HasSubstr("skip_layers")));
  robust.detail["settings"]["drop"]["hi"] = nullptr;
  EXPECT_THAT(folder_readme(robust, "f"), HasSubstr("any drop depth from 0 to the last"));
  const std::string whole = folder_readme(job("finetune", "", 0, 1, 0.8), "models/mr/seed1");
  EXPECT_THAT(whole, HasSubstr("# Model of `mr`, seed 1"));
  EXPECT_THAT(whole, HasSubstr("AutoModelForSequenceClassification.from_pretrained(\"models/mr/seed1\")"));
  EXPECT_THAT(whole, Not(HasSubstr("load_adapter")));
}

}  // namespace
}  // namespace fathom::cli
