#include "trainer/optim/flat_adamw.hpp"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>

#include "trainer/engine/threads.hpp"
#include "trainer/packed/kernels.hpp"

namespace fathom::trainer {
namespace {

constexpr std::int64_t kPiece = 4096;  // elements that a thread takes at once

// Elements of one segment.
struct Piece {
  packed::AdamWArgs args;
  std::int64_t first = 0, last = 0;
};

bool has_loop(const at::Tensor& value) {
  return value.is_cpu() && value.scalar_type() == at::kFloat && value.is_contiguous();
}

// Numbers of an update that is its parameter's `count`-th, rounded where torch's fused call rounds them.
packed::AdamWArgs numbers(const AdamWOptions& options, const JobStep& step, bool decay, double count) {
  packed::AdamWArgs args;
  args.clip = static_cast<float>(step.clip);
  args.mean_rate = static_cast<float>(1 - options.beta1);
  args.square_keep = static_cast<float>(options.beta2);
  args.square_rate = static_cast<float>(1 - options.beta2);
  args.keep = static_cast<float>(1 - step.lr * (decay ? options.weight_decay : 0.0));
  args.rate = static_cast<float>(step.lr / (1 - std::pow(options.beta1, count)));
  args.root_correction = static_cast<float>(std::sqrt(1 - std::pow(options.beta2, count)));
  args.eps = static_cast<float>(options.eps);
  return args;
}

at::Tensor grown(const at::Tensor& flat, std::int64_t more, const at::TensorOptions& options) {
  const auto fresh = at::zeros({more}, options);
  return flat.defined() ? at::cat({flat, fresh}) : fresh;
}

}  // namespace

std::size_t FlatAdamW::add(const std::vector<Parameter>& parameters, const AdamWOptions& options) {
  const at::NoGradGuard no_grad;
  Job job{options, segments_.size(), segments_.size() + parameters.size()};
  const auto before = mean_.defined() ? mean_.numel() : 0;
  auto end = before;
  for (const auto& parameter : parameters) {
    const auto length = parameter.value.numel();
    segments_.push_back({parameter, jobs_.size(), end, length});
    end += length;
  }
  jobs_.push_back(job);
  if (!parameters.empty()) {
    const auto kind = parameters.front().value.detach().options();
    mean_ = grown(mean_, end - before, kind);
    square_ = grown(square_, end - before, kind);
    updates_ = grown(updates_, static_cast<std::int64_t>(parameters.size()), kind.dtype(at::kFloat));
  }
  return jobs_.size() - 1;
}

at::Tensor FlatAdamW::part(const at::Tensor& flat, std::size_t segment) const {
  const auto& own = segments_.at(segment);
  return flat.narrow(0, own.offset, own.length).view(own.parameter.value.sizes());
}

at::Tensor FlatAdamW::updates(std::size_t segment) const {
  return updates_.select(0, static_cast<std::int64_t>(segment));
}

void FlatAdamW::step(std::span<const JobStep> jobs) {
  const at::NoGradGuard no_grad;
  std::vector<Piece> pieces;
  std::vector<at::Tensor> gradients;  // keeps copies alive, where a gradient has gaps
  for (const auto& step : jobs) {
    const auto& job = jobs_.at(step.job);
    std::vector<std::size_t> decayed, plain;  // what the loop does not do
    for (auto i = job.first; i < job.last; ++i) {
      const auto& own = segments_[i];
      const auto& value = own.parameter.value;
      if (!value.grad().defined()) continue;
      if (!has_loop(value)) {
        (own.parameter.decay ? decayed : plain).push_back(i);
        continue;
      }
      const float count = updates_.mutable_data_ptr<float>()[i] += 1;
      auto args = numbers(job.options, step, own.parameter.decay, count);
      gradients.push_back(value.grad().contiguous());
      args.gradient = gradients.back().const_data_ptr<float>();
      args.value = value.mutable_data_ptr<float>();
      args.mean = mean_.mutable_data_ptr<float>() + own.offset;
      args.square = square_.mutable_data_ptr<float>() + own.offset;
      for (std::int64_t at = 0; at < own.length; at += kPiece)
        pieces.push_back({args, at, std::min(own.length, at + kPiece)});
    }
    step_fused(job, step, decayed, true);
    step_fused(job, step, plain, false);
  }
  share_out(static_cast<std::int64_t>(pieces.size()), 8, [&](auto first, auto last) {
    for (auto i = first; i < last; ++i) {
      const auto& piece = pieces[static_cast<std::size_t>(i)];
      packed::kernels().adamw(piece.args, piece.first, piece.last);
    }
  });
}

void FlatAdamW::step_fused(const Job& job, const JobStep& step, const std::vector<std::size_t>& segments, bool decay) {
  if (segments.empty()) return;
  std::vector<at::Tensor> values, gradients, means, squares, counts;
  for (const auto i : segments) {
    const auto& value = segments_[i].parameter.value;
    values.push_back(value);
    gradients.push_back(step.clip == 1 ? value.grad() : value.grad().mul(step.clip));
    means.push_back(mean(i));
    squares.push_back(square(i));
    // The fused kernel takes the count of the update it is making, so it is raised first.
    counts.push_back(updates(i).add_(1));
  }
  const auto& options = job.options;
  at::_fused_adamw_(values, gradients, means, squares, {}, counts, step.lr, options.beta1, options.beta2,
                    decay ? options.weight_decay : 0.0, options.eps, /*amsgrad=*/false, /*maximize=*/false);
}

}  // namespace fathom::trainer
