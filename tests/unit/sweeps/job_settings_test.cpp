#include "sweeps/job_settings.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "common/canonical_json.hpp"

namespace fathom::sweeps {
namespace {

using nlohmann::json;

const json kShared = {{"model", {{"path", "models/minilm"}}}, {"train", {{"lr", 1e-3}, {"epochs", 3}}}, {"zeta", "ü"}};

TEST(JobSettings, TheTextIsThatOfTheWholeObject) {
  SettingsPool pool;
  JobSettings job(pool.share(kShared));
  job.add("seed", 7);
  job.add("adapter", json::array({1, 2.5}));
  job.add("zzz", nullptr);
  json whole = kShared;
  whole["seed"] = 7, whole["adapter"] = json::array({1, 2.5}), whole["zzz"] = nullptr;
  EXPECT_EQ(job.canonical(), canonical_json(whole));
  EXPECT_EQ(job.whole(), whole);
}

TEST(JobSettings, MembersAreFoundAndOthersAreNull) {
  JobSettings job(kShared);
  job.add("seed", 7);
  EXPECT_EQ(job.member("seed"), 7);
  EXPECT_EQ(job.member("train"), kShared.at("train"));
  EXPECT_TRUE(job.member("drop").is_null());
}

TEST(JobSettings, WithoutMembersItIsAnEmptyObject) {
  EXPECT_EQ(JobSettings().canonical(), "{}");
  EXPECT_EQ(JobSettings(json::object()).canonical(), "{}");
  EXPECT_TRUE(JobSettings().member("seed").is_null());
}

TEST(JobSettings, EqualMembersAreHeldOnce) {
  SettingsPool pool;
  json other = kShared;
  other["train"]["lr"] = 2e-3;
  const auto one = pool.share(kShared), two = pool.share(other);
  EXPECT_EQ(one->at(0), two->at(0)) << "the model";
  EXPECT_NE(one->at(1), two->at(1)) << "what differs";
  EXPECT_EQ(one->at(2), two->at(2));
}

TEST(JobSettings, AMemberWithGapsHasTheValuesOfEachJob) {
  SettingsPool pool;
  const auto shared = pool.share(kShared);
  const auto gaps = with_gaps(*shared, "train", kShared.at("train"), {"epochs", "lr"});
  for (const double lr : {1e-3, 5e-5}) {
    JobSettings job(gaps, {"30", canonical_json(lr)});
    job.add("trial", 4);
    job.add("seed", 7);
    job.add("aaa", "\t\n");
    json whole = kShared;
    whole["train"] = {{"lr", lr}, {"epochs", 30}};
    whole["seed"] = 7, whole["trial"] = 4, whole["aaa"] = "\t\n";
    EXPECT_EQ(job.canonical(), canonical_json(whole));
    EXPECT_EQ(job.member("train"), whole.at("train"));
    EXPECT_EQ(job.member("zeta"), "ü");
    EXPECT_EQ(job.member("trial"), 4);
  }
  EXPECT_EQ(gaps->at(0), shared->at(0)) << "the others are shared";
}

TEST(JobSettings, WhatOneJobAddsIsNotInAnother) {
  SettingsPool pool;
  const JobSettings shared(pool.share(kShared));
  JobSettings one = shared;
  one.add("seed", 1);
  EXPECT_TRUE(shared.member("seed").is_null());
}

}  // namespace
}  // namespace fathom::sweeps
