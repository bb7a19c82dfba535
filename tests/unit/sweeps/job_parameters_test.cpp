#include "sweeps/job_parameters.hpp"

#include <stdexcept>

#include <gtest/gtest.h>

namespace fathom::sweeps {
namespace {

using nlohmann::json;

const json kPoint = {{"train.lr", 1e-3}, {"adapter.config", "seq_bn"}, {"train.epochs", 3}};

TEST(JobParameters, AreReadAsAMapInTheOrderOfNames) {
  const JobParameters all(kPoint);
  std::string text;
  for (const auto& [name, value] : all) text += name + "=" + value.dump() + " ";
  EXPECT_EQ(text, "adapter.config=\"seq_bn\" train.epochs=3 train.lr=0.001 ");
  EXPECT_EQ(all.size(), 3U);
  EXPECT_EQ(all.at("train.epochs"), 3);
  EXPECT_EQ(all.find("train.batch"), nullptr);
  EXPECT_THROW((void)all.at("train.batch"), std::out_of_range);
  EXPECT_EQ(json(all), kPoint);
}

TEST(JobParameters, NoneIsAnEmptyObject) {
  EXPECT_TRUE(JobParameters().empty());
  EXPECT_TRUE(JobParameters(json::object()).empty());
  EXPECT_EQ(json(JobParameters()), json::object());
  EXPECT_EQ(JobParameters().begin(), JobParameters().end());
}

TEST(JobParameters, WhatOneJobChangesIsNotInAnother) {
  const JobParameters before(kPoint);
  JobParameters changed = before;
  changed.set("train.lr", 2e-3);
  changed.set("train.batch", 32);
  changed.erase("train.epochs");
  changed.erase("train.warmup");
  EXPECT_EQ(json(before), kPoint);
  EXPECT_EQ(json(changed), json({{"train.lr", 2e-3}, {"adapter.config", "seq_bn"}, {"train.batch", 32}}));
  changed.clear();
  EXPECT_TRUE(changed.empty());
}

TEST(JobParameters, AreEqualByNamesAndValues) {
  json other = kPoint;
  other["train.lr"] = 2e-3;
  json renamed = {{"train.lr", 1e-3}, {"adapter.config", "seq_bn"}, {"train.batch", 3}};
  const JobParameters one(kPoint);
  EXPECT_EQ(one, JobParameters(kPoint));
  EXPECT_EQ(one, JobParameters(kPoint, one));
  EXPECT_FALSE(one == JobParameters(other, one));
  EXPECT_FALSE(one == JobParameters(renamed));
  EXPECT_FALSE(one == JobParameters());
  EXPECT_EQ(JobParameters(), JobParameters(json::object()));
}

}  // namespace
}  // namespace fathom::sweeps
