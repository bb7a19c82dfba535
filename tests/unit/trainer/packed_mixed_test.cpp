// Passes over rows of several jobs against the same jobs one by one.
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <numeric>

#include "tests/unit/trainer/trajectory.hpp"
#include "trainer/packed/mixed.hpp"
#include "trainer/packed/packed_engine.hpp"

namespace fathom::trainer {
namespace {

using packed::JobPass;
using packed::PackedEngine;

// Jobs of every kind on one base with dropout, each at a depth, with rows, a share and masks of its own.
class MixedJobs {
 public:
  struct Kind {
    const char* run;
    std::int64_t depth;
    std::int64_t rows;
    Recipe recipe;
  };

  MixedJobs(const std::string& family, const std::vector<Kind>& kinds) {
    for (const auto& kind : kinds) {
      auto& job = jobs_.emplace_back();
      job.run = std::make_unique<golden::Trajectory>(family + "/" + kind.run);
      if (!base_) {
        auto base = std::make_shared<BaseModel>(*job.run->network.base);
        base->config.hidden_dropout = base->config.attention_dropout = 0.1;
        base_ = base;
      }
      job.run->network.base = base_;
      const auto number = static_cast<std::uint64_t>(jobs_.size());
      std::vector<std::int64_t> rows(static_cast<std::size_t>(kind.rows));
      std::iota(rows.begin(), rows.end(), static_cast<std::int64_t>(number));
      job.batch = job.run->batch(rows);
      job.dropout = {100 + number, 3 * number, static_cast<std::int64_t>(number) % 3};
      job.options.drop_depth = kind.depth;
      job.options.recipe = kind.recipe;
    }
  }

  [[nodiscard]] std::vector<JobPass> passes(bool dropout, Precision precision) {
    std::vector<JobPass> passes;
    for (auto& job : jobs_) {
      job.run->network.precision = precision;
      job.options.dropout = dropout ? &job.dropout : nullptr;
      passes.push_back({&job.run->network, &job.batch, 1.0 / static_cast<double>(passes.size() + 1), job.options});
    }
    return passes;
  }

 private:
  struct Job {
    std::unique_ptr<golden::Trajectory> run;
    LabelledBatch batch;
    DropoutSource dropout;
    ForwardOptions options;
  };
  std::shared_ptr<const BaseModel> base_;
  std::vector<Job> jobs_;
};

// The jobs' gradients, by job and tensor, which are then forgotten; undefined ones stay so.
std::vector<std::vector<at::Tensor>> gradients(const std::vector<JobPass>& passes) {
  std::vector<std::vector<at::Tensor>> all;
  for (const auto& pass : passes) {
    auto& own = all.emplace_back();
    for (const auto& parameter : pass.network->trained) own.push_back(parameter.value.grad());
    clear_gradients(pass.network->trained);
  }
  return all;
}

// Frozen products, attention and all loops give a row the same bits whatever stands beside it, and a job's own products
// are of the same numbers in both: nothing is left that could differ.
void expect_unmixed(PackedEngine& engine, const std::vector<JobPass>& passes) {
  const auto found = engine.learn_together(passes);
  const auto mixed = gradients(passes);
  ASSERT_EQ(found.size(), passes.size());
  PackedEngine one_by_one;
  for (std::size_t job = 0; job < passes.size(); ++job) {
    const auto& pass = passes[job];
    EXPECT_EQ(found[job], one_by_one.learn(*pass.network, *pass.rows, pass.share, pass.options, {})) << "job " << job;
    const auto alone = gradients({pass}).front();
    for (std::size_t i = 0; i < alone.size(); ++i) {
      const auto& name = pass.network->trained[i].name;
      ASSERT_EQ(alone[i].defined(), mixed[job][i].defined()) << "job " << job << ' ' << name;
      if (!alone[i].defined()) continue;
      EXPECT_TRUE(alone[i].equal(mixed[job][i]))
          << "job " << job << ' ' << name << ": " << golden::difference(alone[i], mixed[job][i]);
    }
  }
}

const std::vector<MixedJobs::Kind> kTwo = {{"par_bn", 3, 5, Recipe::hf}, {"seq_bn_wd0", 0, 8, Recipe::fast}};
const std::vector<MixedJobs::Kind> kEight = {
    {"seq_bn_wd0", 2, 8, Recipe::fast},
    {"double_seq_bn", 0, 3, Recipe::fast},
    {"par_bn", 3, 16, Recipe::hf},
    {"seq_bn_strong", 4, 5, Recipe::fast},  // no adapter left: only its head learns
    {"specialised_n2", 0, 7, Recipe::hf},
    {"regression", 1, 1, Recipe::fast},
    {"fusion_reg_before", 0, 6, Recipe::hf},
    {"fusion_reg_lagged", 2, 4, Recipe::fast}};

class PackedMixed : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { REQUIRE_GOLDEN(); }
};

TEST_P(PackedMixed, JobsAreAsTheyAreAlone) {
  PackedEngine engine;
  for (const auto& kinds : {kTwo, kEight}) {
    MixedJobs jobs(GetParam(), kinds);
    for (const auto precision : {Precision::fp32, Precision::bf16}) {
      if (packed::products_of(precision).run == nullptr) continue;
      for (const bool dropout : {true, false}) expect_unmixed(engine, jobs.passes(dropout, precision));
    }
  }
}

// A job the engine leaves to the reference sends all of them there one by one, and none is lost.
TEST_P(PackedMixed, WhatIsNotCoveredTakesTurns) {
  MixedJobs jobs(GetParam(), {{"head2_scaling", 0, 4, Recipe::fast}, {"seq_bn_wd0", 1, 4, Recipe::fast}});
  PackedEngine engine;
  expect_unmixed(engine, jobs.passes(true, Precision::fp32));
}

INSTANTIATE_TEST_SUITE_P(Families, PackedMixed, testing::Values("bert", "roberta"));

// Jobs in order of their lowest adapters, so that a stage has the first of them in backward and no others.
TEST(PackedMixedOrder, BackwardHasTheFirstRowsOnly) {
  REQUIRE_GOLDEN();
  MixedJobs jobs("bert", kEight);
  const auto passes = jobs.passes(true, Precision::fp32);
  const packed::FrozenBase base(passes.front().network->base, Precision::fp32);
  std::vector<packed::Layout> layouts;
  for (const auto& pass : passes) layouts.push_back(*packed::layout_of(pass.rows->input, base.config(), 0));
  std::vector<packed::MixedJob> mixed;
  for (std::size_t i = 0; i < passes.size(); ++i)
    mixed.push_back({&passes[i].network->setup, &layouts[i], passes[i].options});
  packed::Arena arena;
  const packed::MixedPass pass(base, arena, mixed);
  // Lowest stage with an adapter, of four layers with two each: seq_bn has them behind feed-forward, double_seq_bn and
  // fusions of the reference data as their configs say.
  std::int64_t before = 0, rows = 0;
  for (const auto& part : pass.parts()) {
    EXPECT_GE(part.boundary, before);
    EXPECT_EQ(part.rows.first_sequence, rows);
    rows = part.rows.last_sequence;
    before = part.boundary;
  }
  EXPECT_EQ(rows, 50);
  EXPECT_EQ(pass.parts().front().boundary, 0);
  EXPECT_EQ(pass.parts().back().boundary, 8);
  for (std::int64_t stage = 0; stage < 8; ++stage) {
    const auto below = pass.learning(stage, /*own=*/false), learning = pass.learning(stage, /*own=*/true);
    for (const auto& part : pass.parts()) {
      EXPECT_EQ(&part < below.data() + below.size(), part.boundary < stage);
      EXPECT_EQ(&part < learning.data() + learning.size(), part.boundary <= stage);
    }
  }
  EXPECT_TRUE(pass.learning(0, /*own=*/false).empty());
  EXPECT_EQ(pass.learning(7, /*own=*/true).size(), 7U);
}

TEST(PackedMixedLayout, PlacesCarryTheirJob) {
  packed::Layout one, two;
  one.sequences = 2;
  one.tokens = one.longest = 3;
  one.offsets = {0, 1, 3};
  one.first_offsets = {0, 1, 2};
  one.places = {{4, 0, 0}, {5, 0, 0}, {5, 1, 0}};
  one.first_places = {{4, 0, 0}, {5, 0, 0}};
  two.sequences = 1;
  two.tokens = two.longest = 2;
  two.offsets = {0, 2};
  two.first_offsets = {0, 1};
  two.places = {{0, 0, 0}, {0, 1, 0}};
  two.first_places = {{0, 0, 0}};
  const auto all = packed::together({&one, &two});
  EXPECT_EQ(all.offsets, (std::vector<std::int64_t>{0, 1, 3, 5}));
  EXPECT_EQ(all.first_offsets, (std::vector<std::int64_t>{0, 1, 2, 3}));
  std::vector<std::int32_t> jobs;
  for (const auto& place : all.places) jobs.push_back(place.job);
  EXPECT_EQ(jobs, (std::vector<std::int32_t>{0, 0, 0, 1, 1}));
  EXPECT_EQ(all.places[2].row, 5);
  const auto stretches = packed::stretches_of(all);
  ASSERT_EQ(stretches.size(), 2U);
  EXPECT_EQ(stretches[1].first_sequence, 2);
  EXPECT_EQ(stretches[1].last_sequence, 3);
  EXPECT_EQ(stretches[1].first_token, 3);
  EXPECT_EQ(stretches[1].last_token, 5);
}

}  // namespace
}  // namespace fathom::trainer
