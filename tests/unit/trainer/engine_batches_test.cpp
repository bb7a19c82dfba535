// Padding, passes of a step and evaluation batches.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "trainer/batches/tokenized.hpp"

namespace fathom::trainer {
namespace {

// Every letter is a token, with its position in the alphabet as id; no special tokens.
class Letters final : public Tokenizer {
 public:
  [[nodiscard]] Encoding encode(std::string_view text, std::optional<std::string_view> pair,
                                std::size_t max_length) const override {
    Encoding encoding;
    for (const char c : text) encoding.ids.push_back(c - 'a' + 1);
    encoding.type_ids.resize(encoding.ids.size(), 0);
    for (const char c : pair.value_or("")) encoding.ids.push_back(c - 'a' + 1);
    encoding.type_ids.resize(encoding.ids.size(), 1);
    encoding.ids.resize(std::min(encoding.ids.size(), max_length));
    encoding.type_ids.resize(encoding.ids.size());
    return encoding;
  }
  [[nodiscard]] std::int32_t vocab_size() const override { return 27; }
  [[nodiscard]] std::int32_t pad_id() const override { return 26; }
};

data::Dataset dataset_of(const std::vector<std::size_t>& lengths) {
  data::Dataset dataset;
  dataset.labels = {"no", "yes"};
  for (const auto length : lengths) {
    dataset.examples.push_back({std::string(length, 'a'), std::nullopt, static_cast<std::int32_t>(length % 2), 0});
  }
  return dataset;
}

std::vector<std::uint32_t> all_rows(const TokenizedRows& rows) {
  std::vector<std::uint32_t> all(rows.size());
  std::iota(all.begin(), all.end(), 0U);
  return all;
}

TEST(Batches, PadsToTheLongestOfTheBatch) {
  auto dataset = dataset_of({2, 4});
  dataset.examples[0].pair = "b";
  const auto rows = tokenize(dataset, Letters(), 10);
  const auto batch = make_batch(rows, all_rows(rows));
  ASSERT_EQ(batch.input.input_ids.sizes(), (std::vector<std::int64_t>{2, 4}));
  const auto* ids = batch.input.input_ids.const_data_ptr<std::int64_t>();
  EXPECT_EQ(std::vector<std::int64_t>(ids, ids + 8), (std::vector<std::int64_t>{1, 1, 2, 26, 1, 1, 1, 1}));
  const auto* mask = batch.input.attention_mask.const_data_ptr<std::int64_t>();
  EXPECT_EQ(std::vector<std::int64_t>(mask, mask + 4), (std::vector<std::int64_t>{1, 1, 1, 0}));
  const auto* types = batch.input.token_type_ids.const_data_ptr<std::int64_t>();
  EXPECT_EQ(std::vector<std::int64_t>(types, types + 4), (std::vector<std::int64_t>{0, 0, 1, 0}));
  EXPECT_EQ(batch.tokens, 7U);
  EXPECT_EQ(batch.labels.const_data_ptr<std::int64_t>()[0], 0);
}

TEST(Batches, RegressionHasFloatTargets) {
  auto dataset = dataset_of({1, 1});
  dataset.regression = true;
  dataset.examples[1].value = 2.5;
  const auto rows = tokenize(dataset, Letters(), 10);
  const auto batch = make_batch(rows, all_rows(rows));
  EXPECT_EQ(batch.labels.scalar_type(), at::kFloat);
  EXPECT_EQ(batch.labels.const_data_ptr<float>()[1], 2.5F);
}

TEST(Batches, EvaluationTakesTheLongestFirstAndEveryRowOnce) {
  const auto rows = tokenize(dataset_of({1, 5, 3, 5, 2}), Letters(), 10);
  EXPECT_EQ(batches_by_length(rows, 2), (std::vector<std::vector<std::uint32_t>>{{1, 3}, {2, 4}, {0}}));
}

TEST(Batches, AStepOfEqualLengthsIsOnePass) {
  const auto rows = tokenize(dataset_of(std::vector<std::size_t>(32, 9)), Letters(), 10);
  EXPECT_EQ(passes_by_length(rows, all_rows(rows), 32).size(), 1U);
  // Never more rows than the limit, which is what fits into memory.
  EXPECT_EQ(passes_by_length(rows, all_rows(rows), 16).size(), 2U);
}

TEST(Batches, ALongRowDoesNotPadTheShortOnes) {
  std::vector<std::size_t> lengths(16, 10);
  lengths[3] = 100;
  const auto rows = tokenize(dataset_of(lengths), Letters(), 128);
  const auto passes = passes_by_length(rows, all_rows(rows), 32);
  ASSERT_EQ(passes.size(), 2U);
  EXPECT_EQ(passes[0], std::vector<std::uint32_t>{3});
  EXPECT_EQ(passes[1].size(), 15U);
}

}  // namespace
}  // namespace fathom::trainer
