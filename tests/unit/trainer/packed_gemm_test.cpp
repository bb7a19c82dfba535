// Products with matrices that are not frozen: both ways of computing them, against sums in double precision.
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "trainer/packed/gemm.hpp"
#include "trainer/packed/kernels.hpp"

namespace fathom::trainer::packed {
namespace {

struct Shape {
  std::int64_t m, n, k;
};

std::vector<float> transposed(const std::vector<float>& x, std::int64_t rows, std::int64_t columns) {
  std::vector<float> turned(x.size());
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < columns; ++j)
      turned[static_cast<std::size_t>(j * rows + i)] = x[static_cast<std::size_t>(i * columns + j)];
  }
  return turned;
}

class PackedGemm : public testing::TestWithParam<Shape> {
 protected:
  std::vector<float> random(std::int64_t count) {
    std::vector<float> values(static_cast<std::size_t>(count));
    std::normal_distribution<float> normal;
    for (auto& value : values) value = normal(generator_);
    return values;
  }
  // Of c = start + a · b; `b` is read by strides.
  void expect(const std::vector<float>& c, const std::vector<float>& start, const std::vector<float>& a,
              const std::vector<float>& b, std::int64_t n_stride, std::int64_t k_stride) {
    const auto [m, n, k] = GetParam();
    for (std::int64_t i = 0; i < m; ++i) {
      for (std::int64_t j = 0; j < n; ++j) {
        double sum = start[static_cast<std::size_t>(i * n + j)], size = std::abs(sum);
        for (std::int64_t l = 0; l < k; ++l) {
          const double term = static_cast<double>(a[static_cast<std::size_t>(i * k + l)]) *
                              static_cast<double>(b[static_cast<std::size_t>(j * n_stride + l * k_stride)]);
          sum += term;
          size += std::abs(term);
        }
        ASSERT_NEAR(c[static_cast<std::size_t>(i * n + j)], sum, 1e-6 * (size + 1)) << i << ", " << j;
      }
    }
  }
  std::mt19937 generator_{5};
};

TEST_P(PackedGemm, ProductsAreTheSums) {
  const auto [m, n, k] = GetParam();
  const auto a = random(m * k), b = random(n * k), start = random(m * n), zeros = std::vector<float>(start.size());
  for (const bool transposed : {true, false}) {
    const std::int64_t n_stride = transposed ? k : 1, k_stride = transposed ? 1 : n;
    const auto named = transposed ? product_nt : product_nn;
    for (const bool add : {false, true}) {
      auto by_maker = start, by_kernels = start;
      named(by_maker.data(), a.data(), b.data(), m, n, k, add);
      expect(by_maker, add ? start : zeros, a, b, n_stride, k_stride);
      product_packed(by_kernels.data(), a.data(), b.data(), m, n, k, n_stride, k_stride, add);
      expect(by_kernels, add ? start : zeros, a, b, n_stride, k_stride);
    }
  }
}

TEST_P(PackedGemm, ARowDoesNotDependOnTheRowsBesideIt) {
  const auto [m, n, k] = GetParam();
  const auto a = random(m * k), b = random(n * k);
  std::vector<float> all(static_cast<std::size_t>(m * n)), last(static_cast<std::size_t>(n));
  product_packed(all.data(), a.data(), b.data(), m, n, k, k, 1);
  product_packed(last.data(), a.data() + (m - 1) * k, b.data(), 1, n, k, k, 1);
  EXPECT_TRUE(std::equal(last.begin(), last.end(), all.end() - n));
}

// Gradients of weights: m and n are the widths of the rows here.
TEST_P(PackedGemm, OuterProductsAreSummed) {
  const auto [m, n, k] = GetParam();
  const auto a = random(k * m), b = random(k * n), start = random(m * n), zeros = std::vector<float>(start.size());
  const auto turned = transposed(a, k, m);
  for (const bool add : {false, true}) {
    auto by_maker = start, by_kernels = start;
    product_tn(by_maker.data(), a.data(), b.data(), m, n, k, add);
    expect(by_maker, add ? start : zeros, turned, b, 1, n);
    product_outer(by_kernels.data(), a.data(), b.data(), m, n, k, add);
    expect(by_kernels, add ? start : zeros, turned, b, 1, n);
  }
}

// With every set of kernels: an element has one value, whatever part of the matrix a thread computes.
TEST_P(PackedGemm, PartsOfOuterProductsMakeTheWhole) {
  const auto [m, n, k] = GetParam();
  const auto a = random(k * m), b = random(k * n);
  int count = 0;
  const auto* list = all_kernels(&count);
  for (int i = 0; i < count; ++i) {
    const auto units = list[i]->outer_units(m, n);
    std::vector<float> whole(static_cast<std::size_t>(m * n)), parts = whole;
    list[i]->outer({m, n, k, a.data(), b.data(), whole.data()}, 0, units);
    for (std::int64_t unit = units - 1; unit >= 0; --unit)
      list[i]->outer({m, n, k, a.data(), b.data(), parts.data()}, unit, unit + 1);
    EXPECT_EQ(whole, parts) << list[i]->name;
    expect(whole, std::vector<float>(whole.size()), transposed(a, k, m), b, 1, n);
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, PackedGemm,
                         testing::Values(Shape{1, 1, 1}, Shape{48, 24, 384}, Shape{413, 384, 24}, Shape{301, 33, 17},
                                         Shape{97, 384, 384}, Shape{64, 16, 1}, Shape{24, 384, 413},
                                         Shape{384, 24, 300}));

}  // namespace
}  // namespace fathom::trainer::packed
