// A split of a task as token ids, and padded batches of it. A TokenizedRows never changes after it is made, so jobs
// share one. Thread: plain values; make_batch() may be called from any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "data/dataset.hpp"
#include "trainer/batches/column.hpp"
#include "trainer/model/encoder.hpp"
#include "trainer/tokenizer/tokenizer.hpp"

namespace fathom::trainer {

// Rows end to end: row i is [offsets[i], offsets[i + 1]) of ids and types, special tokens included, no padding.
struct TokenizedRows {
  Column<std::int32_t> ids;
  Column<std::int32_t> types;
  Column<std::size_t> offsets = std::vector<std::size_t>{0};
  Column<std::int32_t> labels;  // classification: label id per row
  Column<double> targets;       // regression: value per row
  std::int32_t pad_id = 0;
  std::string sha256;  // of ids, types and offsets: rows with the same tokens have the same. Empty: not known

  [[nodiscard]] std::uint32_t size() const { return static_cast<std::uint32_t>(offsets.size() - 1); }
  [[nodiscard]] std::size_t length(std::uint32_t row) const { return offsets[row + 1] - offsets[row]; }
};

// Rows padded to the longest among them, with what they should be: int64 [B] class ids or float32 [B] values; undefined
// for rows to predict.
struct LabelledBatch {
  Batch input;
  at::Tensor labels;
  std::uint64_t rows = 0;
  std::uint64_t tokens = 0;  // without padding
};

TokenizedRows tokenize(const data::Dataset& dataset, const Tokenizer& tokenizer, std::size_t max_length);

// kept: the batch says where its rows stand (Batch::origin).
LabelledBatch make_batch(const TokenizedRows& rows, std::span<const std::uint32_t> chosen, bool kept = false);

// A batch of texts without labels, for prediction; the rows of `encodings` in their order.
LabelledBatch make_batch(std::span<const Encoding> encodings, std::int32_t pad_id);

// The same rows there.
LabelledBatch on_device(LabelledBatch batch, at::Device device);

// Rows first … last - 1 of a batch of labelled rows, padded to the longest among them: views of its tensors.
LabelledBatch rows_of(const LabelledBatch& batch, std::uint64_t first, std::uint64_t last);

// Cuts the rows of one optimizer step into passes of rows of like length, at most `most` rows each, so that little is
// padding: the gradient of the step is the sum over its passes and differs from that of one padded pass by rounding
// only. The cut with the fewest padded tokens, a pass itself counted as kPassTokens. Longest first, ties in the given
// order.
inline constexpr std::size_t kPassTokens = 64;
std::vector<std::vector<std::uint32_t>> passes_by_length(const TokenizedRows& rows,
                                                         std::span<const std::uint32_t> chosen, std::uint32_t most);

// Every row once, rows of like length together (longest first, ties in file order), at most `size` in a batch: least
// padding, and the largest batch comes first, so that memory for the whole evaluation is known at its start.
std::vector<std::vector<std::uint32_t>> batches_by_length(const TokenizedRows& rows, std::uint32_t size);

}  // namespace fathom::trainer
