// One optimizer step from gradients to weights, clipping included: ours over a flat buffer against LibTorch's calls
// (norm, multiplication in place, fused AdamW). Prints milliseconds, medians over rounds taken in turns.
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <functional>

#include "trainer/optim/adamw.hpp"
#include "trainer/optim/clip.hpp"

namespace fathom::trainer {
namespace {

// The trained tensors of seq_bn/16 and a head of two layers on an encoder of this size.
std::vector<Parameter> adapter(std::int64_t layers, std::int64_t hidden) {
  std::vector<Parameter> all;
  const auto add = [&](std::string name, std::vector<std::int64_t> shape) {
    const auto value = at::randn(shape).set_requires_grad(true);
    value.mutable_grad() = at::randn(shape);
    all.push_back({name, value, decays(name, value)});
  };
  for (std::int64_t layer = 0; layer < layers; ++layer) {
    add(fmt::format("{}.down.weight", layer), {hidden / 16, hidden});
    add(fmt::format("{}.down.bias", layer), {hidden / 16});
    add(fmt::format("{}.up.weight", layer), {hidden, hidden / 16});
    add(fmt::format("{}.up.bias", layer), {hidden});
  }
  add("head.1.weight", {hidden, hidden});
  add("head.1.bias", {hidden});
  add("head.4.weight", {2, hidden});
  add("head.4.bias", {2});
  return all;
}

// What training did before: one fused call for each decay setting.
class Torch {
 public:
  explicit Torch(std::vector<Parameter> parameters) : parameters_(std::move(parameters)) {
    for (const auto& parameter : parameters_) {
      means_.push_back(at::zeros_like(parameter.value.detach()));
      squares_.push_back(at::zeros_like(parameter.value.detach()));
      counts_.push_back(at::zeros({}));
    }
  }
  void step() {
    const at::NoGradGuard no_grad;
    const double clip = clip_factor(gradient_norm(parameters_), 1);
    for (const auto& parameter : parameters_) parameter.value.mutable_grad().mul_(clip);
    for (const bool decay : {true, false}) {
      std::vector<at::Tensor> values, gradients, means, squares, counts;
      for (std::size_t i = 0; i < parameters_.size(); ++i) {
        if (parameters_[i].decay != decay) continue;
        values.push_back(parameters_[i].value);
        gradients.push_back(parameters_[i].value.grad());
        means.push_back(means_[i]);
        squares.push_back(squares_[i]);
        counts.push_back(counts_[i].add_(1));
      }
      at::_fused_adamw_(values, gradients, means, squares, {}, counts, 1e-4, 0.9, 0.999, decay ? 0.01 : 0, 1e-8, false,
                        false);
    }
  }

 private:
  std::vector<Parameter> parameters_;
  std::vector<at::Tensor> means_, squares_, counts_;
};

double milliseconds(const std::function<void()>& step, int steps) {
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < steps; ++i) step();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count() / steps;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void compare(std::int64_t layers, std::int64_t hidden, int rounds) {
  const auto ours = adapter(layers, hidden), theirs = adapter(layers, hidden);
  AdamW flat(ours, {0.9, 0.999, 1e-8, 0.01});
  Torch torch(theirs);
  std::int64_t elements = 0;
  for (const auto& parameter : ours) elements += parameter.value.numel();
  std::vector<double> mine, fused;
  for (int round = 0; round <= rounds; ++round) {
    const double a = milliseconds([&] { flat.step(1e-4, clip_factor(gradient_norm(ours), 1)); }, 20);
    const double b = milliseconds([&] { torch.step(); }, 20);
    if (round == 0) continue;  // memory and caches become warm
    mine.push_back(a);
    fused.push_back(b);
  }
  fmt::print("layers {} hidden {}: {} tensors, {} elements: flat {:.3f} ms, LibTorch {:.3f} ms\n", layers, hidden,
             ours.size(), elements, median(mine), median(fused));
}

}  // namespace
}  // namespace fathom::trainer

int main(int argc, char** argv) {
  CLI::App app("optimizer_bench: one step of AdamW with clipping");
  int threads = 1, rounds = 9;
  app.add_option("--threads", threads);
  app.add_option("--rounds", rounds);
  CLI11_PARSE(app, argc, argv);
  at::set_num_threads(threads);
  fathom::trainer::compare(6, 384, rounds);
  fathom::trainer::compare(12, 768, rounds);
  fathom::trainer::compare(12, 4096, rounds);
  return 0;
}
