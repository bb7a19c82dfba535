// AdamW over one flat buffer against LibTorch's fused call, and jobs in one buffer against each alone.
#include <cmath>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include "trainer/optim/adamw.hpp"
#include "trainer/optim/clip.hpp"
#include "trainer/packed/kernels.hpp"

namespace fathom::trainer {
namespace {

// Tensors of sizes that are no multiple of any vector, one larger than what a thread takes at once, in one job.
std::vector<Parameter> random_job(std::uint64_t seed) {
  auto generator = at::detail::createCPUGenerator(seed);
  std::vector<Parameter> job;
  for (const auto& [name, shape] : {std::pair<std::string, std::vector<std::int64_t>>{"down.weight", {17, 33}},
                                    {"down.bias", {17}},
                                    {"up.weight", {33, 301}},
                                    {"scaling", {1}}}) {
    const auto value = at::randn(shape, generator).set_requires_grad(true);
    job.push_back({name, value, decays(name, value)});
  }
  return job;
}

// Gradients of very different sizes; now and then one is missing.
void draw_gradients(const std::vector<Parameter>& job, std::uint64_t seed) {
  auto generator = at::detail::createCPUGenerator(seed);
  for (std::size_t i = 0; i < job.size(); ++i) {
    auto gradient = at::randn(job[i].value.sizes(), generator).mul_(std::pow(10.0, static_cast<double>(seed % 5) - 3));
    job[i].value.mutable_grad() = (seed + i) % 7 == 3 ? at::Tensor() : gradient;
  }
}

struct Fused {
  std::vector<at::Tensor> values, means, squares, counts;
};

void step_fused(Fused& state, const std::vector<Parameter>& job, double lr, double clip, const AdamWOptions& options) {
  for (std::size_t i = 0; i < job.size(); ++i) {
    if (!job[i].value.grad().defined()) continue;
    state.counts[i].add_(1);
    at::_fused_adamw_({state.values[i]}, {job[i].value.grad().mul(clip)}, {state.means[i]}, {state.squares[i]}, {},
                      {state.counts[i]}, lr, options.beta1, options.beta2, job[i].decay ? options.weight_decay : 0.0,
                      options.eps, false, false);
  }
}

void expect_close(const at::Tensor& expected, const at::Tensor& found, const std::string& name) {
  const double size = expected.abs().max().item<double>();
  EXPECT_LE(expected.sub(found).abs().max().item<double>(), 1e-6 * size) << name;
}

TEST(FlatAdamW, FollowsTheFusedCallOfTorch) {
  const auto job = random_job(1);
  const AdamWOptions options{0.9, 0.999, 1e-8, 0.05};
  Fused fused;
  for (const auto& parameter : job) {
    fused.values.push_back(parameter.value.detach().clone());
    fused.means.push_back(at::zeros_like(fused.values.back()));
    fused.squares.push_back(at::zeros_like(fused.values.back()));
    fused.counts.push_back(at::zeros({}));
  }
  AdamW adamw(job, options);
  for (std::uint64_t step = 0; step < 300; ++step) {
    const double lr = 1e-3 * static_cast<double>(300 - step) / 300;
    draw_gradients(job, step);
    const double clip = clip_factor(gradient_norm(job), 1.0);
    step_fused(fused, job, lr, clip, options);
    adamw.step(lr, clip);
  }
  const auto state = adamw.state();
  for (std::size_t i = 0; i < job.size(); ++i) {
    expect_close(fused.values[i], job[i].value.detach(), job[i].name);
    expect_close(fused.means[i], state[3 * i].second, state[3 * i].first);
    expect_close(fused.squares[i], state[3 * i + 1].second, state[3 * i + 1].first);
    EXPECT_TRUE(fused.counts[i].equal(state[3 * i + 2].second)) << state[3 * i + 2].first;
    EXPECT_EQ(adamw.updates(i), static_cast<std::uint64_t>(fused.counts[i].item<double>()));
  }
}

// Different rates, decays, clipping and turns: a job in a buffer with others is the job alone.
TEST(FlatAdamW, JobsInOneBufferAreEachAloneBitForBit) {
  constexpr std::size_t kJobs = 8;
  FlatAdamW together;
  std::vector<std::vector<Parameter>> beside, apart;
  std::vector<AdamW> alone;
  for (std::size_t j = 0; j < kJobs; ++j) {
    const AdamWOptions options{0.9, j % 2 == 0 ? 0.999 : 0.99, 1e-8, 0.01 * static_cast<double>(j)};
    beside.push_back(random_job(j));
    apart.push_back(random_job(j));
    EXPECT_EQ(together.add(beside.back(), options), j);
    alone.emplace_back(apart.back(), options);
  }
  for (std::uint64_t step = 0; step < 40; ++step) {
    std::vector<JobStep> steps;
    for (std::size_t j = 0; j < kJobs; ++j) {
      if ((step + j) % 3 == 0) continue;
      draw_gradients(beside[j], 100 * j + step);
      draw_gradients(apart[j], 100 * j + step);
      const double clip = clip_factor(gradient_norm(beside[j]), 0.5 + static_cast<double>(j));
      steps.push_back({j, 1e-3 * static_cast<double>(j + 1), clip});
      alone[j].step(steps.back().lr, clip);
    }
    together.step(steps);
  }
  std::size_t segment = 0;
  for (std::size_t j = 0; j < kJobs; ++j) {
    const auto state = alone[j].state();
    for (std::size_t i = 0; i < apart[j].size(); ++i, ++segment) {
      EXPECT_EQ(together.segments()[segment].job, j);
      EXPECT_TRUE(apart[j][i].value.equal(beside[j][i].value)) << "job " << j << ' ' << apart[j][i].name;
      EXPECT_TRUE(state[3 * i].second.equal(together.mean(segment)));
      EXPECT_TRUE(state[3 * i + 1].second.equal(together.square(segment)));
      EXPECT_TRUE(state[3 * i + 2].second.equal(together.updates(segment)));
    }
  }
}

// A job may come while others train: what they have is kept.
TEST(FlatAdamW, AddingAJobKeepsTheMomentsOfTheOthers) {
  FlatAdamW flat;
  const auto first = random_job(3), second = random_job(4);
  flat.add(first, {});
  draw_gradients(first, 1);
  const JobStep step{0, 1e-3, 1};
  flat.step({&step, 1});
  const auto before = flat.mean(0).clone();
  EXPECT_GT(before.abs().max().item<double>(), 0);
  flat.add(second, {});
  EXPECT_TRUE(flat.mean(0).equal(before));
  EXPECT_EQ(flat.mean(4).abs().max().item<double>(), 0);
  EXPECT_EQ(flat.updates(0).item<double>(), 1);
}

// Tensors of their own, as checkpoints held them before there was a flat buffer, and hold them now.
TEST(FlatAdamW, TakesTheStateOfSingleTensors) {
  const auto job = random_job(5);
  std::vector<std::pair<std::string, at::Tensor>> saved;
  for (const auto& parameter : job) {
    saved.emplace_back(parameter.name + "/exp_avg", at::randn(parameter.value.sizes()));
    saved.emplace_back(parameter.name + "/exp_avg_sq", at::randn(parameter.value.sizes()).square());
    saved.emplace_back(parameter.name + "/step", at::full({}, 12.0F));
  }
  AdamW adamw(job, {});
  adamw.load_state(saved);
  const auto state = adamw.state();
  ASSERT_EQ(state.size(), saved.size());
  for (std::size_t i = 0; i < saved.size(); ++i) {
    EXPECT_EQ(state[i].first, saved[i].first);
    EXPECT_EQ(state[i].second.sizes(), saved[i].second.sizes());
    EXPECT_TRUE(state[i].second.is_contiguous());
    EXPECT_TRUE(state[i].second.equal(saved[i].second)) << saved[i].first;
  }
  EXPECT_EQ(adamw.updates(2), 12U);
}

// Of every instruction set: the update by its formula, whatever range an element is computed in.
TEST(FlatAdamW, LoopsOfAllInstructionSets) {
  int count = 0;
  const auto* all = packed::all_kernels(&count);
  for (int k = 0; k < count; ++k) {
    constexpr std::size_t kSize = 77;
    const auto run = [&](std::initializer_list<std::int64_t> ends) {
      std::vector<float> value(kSize), mean(kSize), square(kSize), gradient(kSize);
      for (std::size_t i = 0; i < kSize; ++i) {
        value[i] = std::sin(static_cast<float>(i));
        mean[i] = std::cos(static_cast<float>(i));
        square[i] = 0.1F + value[i] * value[i];
        gradient[i] = std::sin(3.0F * static_cast<float>(i));
      }
      packed::AdamWArgs args{value.data(), mean.data(), square.data(), gradient.data(), 0.5F, 0.1F,
                             0.999F,       0.001F,      0.98F,         0.03F,           0.7F, 1e-8F};
      std::int64_t first = 0;
      for (const auto end : ends) {
        all[k]->adamw(args, first, end);
        first = end;
      }
      return value;
    };
    const auto whole = run({kSize});
    EXPECT_EQ(whole, run({3, 40, 41, kSize})) << all[k]->name;
    for (std::size_t i = 0; i < kSize; ++i) {
      const double x = std::sin(static_cast<float>(i)), g = 0.5 * std::sin(3.0F * static_cast<float>(i));
      const double m = std::cos(static_cast<float>(i)), v = 0.1 + x * x;
      const double m1 = m + 0.1 * (g - m), v1 = 0.999 * v + 0.001 * g * g;
      EXPECT_NEAR(whole[i], 0.98 * x - 0.03 * m1 / (std::sqrt(v1) / 0.7 + 1e-8), 1e-6) << all[k]->name << ' ' << i;
    }
  }
}

}  // namespace
}  // namespace fathom::trainer
