// The loops of the packed engine, for every instruction set that this CPU runs, against double precision.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "trainer/model/dropout_hash.hpp"
#include "trainer/packed/kernels.hpp"

namespace fathom::trainer::packed {
namespace {

class PackedKernels : public testing::TestWithParam<const Kernels*> {
 protected:
  std::vector<float> random(std::size_t count, float scale = 1) {
    std::vector<float> values(count);
    std::normal_distribution<float> normal(0, scale);
    for (auto& value : values) value = normal(generator_);
    return values;
  }
  const Kernels& kernels_ = *GetParam();
  std::mt19937 generator_{17};
};

double curve(Curve kind, double x) {
  switch (kind) {
    case Curve::relu:
      return std::max(0.0, x);
    case Curve::gelu:
      return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
    case Curve::gelu_tanh:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case Curve::silu:
      return x / (1 + std::exp(-x));
    case Curve::tanh:
      return std::tanh(x);
    case Curve::identity:
      break;
  }
  return x;
}

TEST_P(PackedKernels, CurvesAndTheirSlopes) {
  constexpr std::int64_t kWidth = 37, kRows = 40;  // no multiple of any vector
  for (const Curve kind : {Curve::identity, Curve::relu, Curve::gelu, Curve::gelu_tanh, Curve::silu, Curve::tanh}) {
    std::vector<float> u(kWidth * kRows), y(u.size()), bias = random(kWidth, 0.1F);
    for (std::size_t i = 0; i < u.size(); ++i)
      u[i] = -12.0F + 24.0F * static_cast<float>(i) / static_cast<float>(u.size());
    auto slopes = u;
    kernels_.activate({kWidth, kind, slopes.data(), bias.data(), y.data(), true}, 0, kRows);
    for (std::size_t i = 0; i < u.size(); ++i) {
      const double x = static_cast<double>(u[i]) + static_cast<double>(bias[i % kWidth]);
      EXPECT_NEAR(y[i], curve(kind, x), 2e-6 * (1 + std::abs(x))) << "curve " << static_cast<int>(kind) << " at " << x;
      if (kind == Curve::relu && std::abs(x) < 1e-3) continue;
      EXPECT_NEAR(slopes[i], (curve(kind, x + 1e-5) - curve(kind, x - 1e-5)) / 2e-5, 4e-6)
          << "curve " << static_cast<int>(kind) << " at " << x;
    }
  }
}

TEST_P(PackedKernels, NotANumberIsNotHidden) {
  for (const Curve kind : {Curve::identity, Curve::relu, Curve::gelu, Curve::gelu_tanh, Curve::silu, Curve::tanh}) {
    std::vector<float> u = {1, NAN, 2}, y(3);
    kernels_.activate({3, kind, u.data(), nullptr, y.data(), false}, 0, 1);
    EXPECT_TRUE(std::isnan(y[1])) << static_cast<int>(kind);
    EXPECT_FALSE(std::isnan(y[0]) || std::isnan(y[2])) << static_cast<int>(kind);
  }
}

// The same bits whatever range a token is computed in: that is what makes threads invisible.
TEST_P(PackedKernels, RangesDoNotChangeBits) {
  constexpr std::int64_t kWidth = 50, kRows = 9;
  const auto product = random(kWidth * kRows), residual = random(kWidth * kRows), gamma = random(kWidth);
  std::vector<Place> places(kRows);
  for (std::int32_t i = 0; i < kRows; ++i) places[static_cast<std::size_t>(i)] = {i / 3, i % 3, 0};
  const auto run = [&](std::initializer_list<std::int64_t> ends) {
    std::vector<float> y(kWidth * kRows);
    NormArgs args;
    args.width = kWidth;
    args.product = product.data();
    args.residual = residual.data();
    args.gamma = args.beta = gamma.data();
    args.eps = 1e-5F;
    args.mask = {true, 77, 1U << 30, 4.0F / 3};
    args.places = places.data();
    args.y = y.data();
    std::int64_t first = 0;
    for (const auto end : ends) {
      kernels_.norm(args, first, end);
      first = end;
    }
    return y;
  };
  EXPECT_EQ(run({kRows}), run({1, 4, 5, kRows}));
}

// Masks are those that dropout() of the reference draws.
TEST_P(PackedKernels, MasksFollowTheHash) {
  constexpr std::int64_t kWidth = 21;
  std::vector<float> ones(kWidth, 1), out(kWidth);
  const Place place{6, 4, 0};
  NormArgs args;
  args.width = kWidth;
  args.product = ones.data();
  args.mask = {true, dropout_hash::mask_base(5, 9, 4097), dropout_hash::threshold(0.4), 2.5F};
  args.places = &place;
  args.part = out.data();
  kernels_.norm(args, 0, 1);
  const auto key = dropout_hash::line_key(args.mask.base, 6, 0, 4);
  std::int64_t dropped = 0;
  for (std::uint32_t j = 0; j < kWidth; ++j) {
    const auto bits = dropout_hash::bits(static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32), j);
    EXPECT_EQ(out[j], bits >= args.mask.threshold ? 2.5F : 0.0F);
    dropped += out[j] == 0.0F;
  }
  EXPECT_GT(dropped, 2);
  EXPECT_LT(dropped, 19);
}

TEST_P(PackedKernels, RowsAreSummedByColumns) {
  constexpr std::int64_t kWidth = 151, kRows = 23;
  const auto x = random(kWidth * kRows), start = random(kWidth);
  auto whole = start, parts = start;
  kernels_.sum_rows(whole.data(), x.data(), kRows, kWidth, 0, kWidth);
  kernels_.sum_rows(parts.data(), x.data(), kRows, kWidth, 70, kWidth);
  kernels_.sum_rows(parts.data(), x.data(), kRows, kWidth, 0, 70);
  EXPECT_EQ(whole, parts);
  for (std::size_t j = 0; j < kWidth; ++j) {
    float sum = start[j];
    for (std::size_t i = 0; i < kRows; ++i) sum += x[i * kWidth + j];
    ASSERT_EQ(whole[j], sum) << j;
  }
}

std::vector<const Kernels*> all() {
  int count = 0;
  const auto* list = all_kernels(&count);
  return {list, list + count};
}

INSTANTIATE_TEST_SUITE_P(InstructionSets, PackedKernels, testing::ValuesIn(all()),
                         [](const auto& test) { return std::string(test.param->name); });

}  // namespace
}  // namespace fathom::trainer::packed
