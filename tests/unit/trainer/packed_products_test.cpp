// Products with packed matrices, for every instruction set that this CPU runs and every precision that it has: against
// double precision, and the same bits for a row whatever is computed beside it.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "trainer/packed/kernels.hpp"

namespace fathom::trainer::packed {
namespace {

template <std::size_t N>
using Sizes = std::vector<std::array<std::int64_t, N>>;

struct Kind {
  std::string name;
  Products products;
  bool rounds;
};

float to_bf16(float x) {
  std::uint32_t bits;
  std::memcpy(&bits, &x, 4);
  bits = (bits + 0x7FFFU + ((bits >> 16) & 1U)) & 0xFFFF0000U;
  std::memcpy(&x, &bits, 4);
  return x;
}

// A matrix product of some size, and everything around it.
class PackedProducts : public testing::TestWithParam<Kind> {
 protected:
  void make(std::int64_t rows, std::int64_t n, std::int64_t k) {
    rows_ = rows, n_ = n, k_ = k;
    a_ = random(rows * k), b_ = random(n * k), bias_ = random(n);
    packed_.resize(static_cast<std::size_t>(products_.packed(n, k)));
    products_.pack(packed_.data(), b_.data(), n, k, k, 1);
  }
  std::vector<float> random(std::int64_t count) {
    std::vector<float> values(static_cast<std::size_t>(count));
    std::normal_distribution<float> normal(0, 1);
    for (auto& value : values) value = normal(generator_);
    return values;
  }
  [[nodiscard]] ProductArgs args(std::int64_t first_row, std::int64_t rows, std::vector<float>& c) const {
    ProductArgs args;
    args.rows = rows;
    args.n = args.c_stride = n_;
    args.k = args.a_stride = k_;
    args.a = a_.data() + first_row * k_;
    args.b = packed_.data();
    args.c = c.data();
    return args;
  }
  void run(const ProductArgs& args, std::int64_t first, std::int64_t last) const {
    std::vector<float> scratch(static_cast<std::size_t>(products_.scratch(args.k)));
    products_.run(args, scratch.data(), first, last);
  }
  [[nodiscard]] double expected(std::int64_t row, std::int64_t column) const {
    double sum = 0;
    for (std::int64_t i = 0; i < k_; ++i) {
      const float a = a_[static_cast<std::size_t>(row * k_ + i)], b = b_[static_cast<std::size_t>(column * k_ + i)];
      sum += GetParam().rounds ? double{to_bf16(a)} * double{to_bf16(b)} : double{a} * double{b};
    }
    return sum;
  }

  const Products& products_ = GetParam().products;
  std::mt19937 generator_{23};
  std::int64_t rows_ = 0, n_ = 0, k_ = 0;
  std::vector<float> a_, b_, packed_, bias_;
};

TEST_P(PackedProducts, AreTheSumsOfProducts) {
  for (const auto& [rows, n, k] : Sizes<3>{{1, 1, 1}, {3, 17, 5}, {14, 32, 33}, {29, 70, 100}, {61, 96, 384}}) {
    make(rows, n, k);
    const auto start = random(rows * n);
    for (const bool add : {false, true}) {
      auto c = start;
      auto product = args(0, rows, c);
      product.add = add;
      run(product, 0, rows);
      for (std::int64_t i = 0; i < rows; ++i) {
        for (std::int64_t j = 0; j < n; ++j) {
          const auto at = static_cast<std::size_t>(i * n + j);
          ASSERT_NEAR(c[at], expected(i, j) + (add ? start[at] : 0), 2e-6 * static_cast<double>(k + 4))
              << rows << " " << n << " " << k;
        }
      }
    }
  }
}

// The other way through the same matrix.
TEST_P(PackedProducts, MatricesArePackedBothWays) {
  make(5, 40, 27);
  const auto turned = b_;
  std::vector<float> other(static_cast<std::size_t>(products_.packed(n_, k_)));
  std::vector<float> columns(turned.size());
  for (std::int64_t j = 0; j < n_; ++j) {
    for (std::int64_t i = 0; i < k_; ++i)
      columns[static_cast<std::size_t>(i * n_ + j)] = turned[static_cast<std::size_t>(j * k_ + i)];
  }
  products_.pack(other.data(), columns.data(), n_, k_, 1, n_);
  EXPECT_EQ(other, packed_);
}

// What the store of prefixes and the count of threads rest on.
TEST_P(PackedProducts, RowsDoNotDependOnTheirNeighbours) {
  for (const auto& [n, k] : Sizes<2>{{50, 37}, {384, 1536}}) {
    // Of the deep one more rows than go through a panel together.
    make(n == 50 ? 53 : 203, n, k);
    std::vector<float> all(static_cast<std::size_t>(rows_ * n_)), parts = all, alone(static_cast<std::size_t>(n_));
    run(args(0, rows_, all), 0, rows_);
    const auto split = args(0, rows_, parts);
    run(split, 17, rows_);
    run(split, 0, 17);
    EXPECT_EQ(all, parts);
    for (std::int64_t i = 0; i < rows_; ++i) {
      run(args(i, 1, alone), 0, 1);
      ASSERT_TRUE(std::equal(alone.begin(), alone.end(), all.begin() + i * n_))
          << "row " << i << " of " << n << " " << k;
    }
  }
}

// The curve behind a product is the one that activate() computes.
TEST_P(PackedProducts, EndInAnActivation) {
  make(30, 45, 64);
  std::vector<float> u(static_cast<std::size_t>(rows_ * n_)), y = u;
  run(args(0, rows_, u), 0, rows_);
  auto slopes = u;
  kernels().activate({n_, Curve::gelu, slopes.data(), bias_.data(), y.data(), true}, 0, rows_);
  std::vector<float> c(u.size()), found = c;
  auto product = args(0, rows_, c);
  product.curve = Curve::gelu;
  product.bias = bias_.data();
  product.y = found.data();
  product.y_stride = n_;
  product.derivative = true;
  run(product, 0, rows_);
  for (std::size_t i = 0; i < y.size(); ++i) {
    ASSERT_NEAR(found[i], y[i], 1e-5);
    ASSERT_NEAR(c[i], slopes[i], 1e-5);
  }
  product.derivative = false;
  product.y = c.data();
  run(product, 0, rows_);
  EXPECT_EQ(c, found);
}

TEST_P(PackedProducts, EndInFactors) {
  make(30, 45, 64);
  auto c = random(rows_ * n_), plain = c;
  const auto times = random(rows_ * n_);
  auto product = args(0, rows_, plain);
  product.add = true;
  run(product, 0, rows_);
  product.c = c.data();
  product.times = times.data();
  run(product, 11, rows_);
  run(product, 0, 11);
  for (std::size_t i = 0; i < c.size(); ++i) ASSERT_EQ(c[i], plain[i] * times[i]);
}

TEST_P(PackedProducts, NotANumberIsNotHidden) {
  make(4, 33, 20);
  a_[25] = NAN;  // row 1
  std::vector<float> c(static_cast<std::size_t>(rows_ * n_));
  run(args(0, rows_, c), 0, rows_);
  for (std::int64_t i = 0; i < rows_; ++i) EXPECT_EQ(std::isnan(c[static_cast<std::size_t>(i * n_ + 32)]), i == 1);
  b_[32 * k_ + 3] = NAN;
  products_.pack(packed_.data(), b_.data(), n_, k_, k_, 1);
  run(args(0, rows_, c), 0, rows_);
  EXPECT_TRUE(std::isnan(c[32]));
  EXPECT_FALSE(std::isnan(c[31]));
}

std::vector<Kind> kinds() {
  std::vector<Kind> all;
  int count = 0;
  const auto* list = all_kernels(&count);
  for (int i = 0; i < count; ++i) {
    all.push_back({std::string(list[i]->name) + "_fp32", list[i]->fp32, false});
    if (list[i]->bf16.run != nullptr) all.push_back({std::string(list[i]->name) + "_bf16", list[i]->bf16, true});
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(InstructionSets, PackedProducts, testing::ValuesIn(kinds()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace fathom::trainer::packed
