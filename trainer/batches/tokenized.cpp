#include "trainer/batches/tokenized.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/max.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/zeros.h>

#include "common/sha256.hpp"

namespace fathom::trainer {
namespace {

// Lays one row into line `line` of a batch made by blank_batch().
void lay(LabelledBatch& batch, std::int64_t line, std::span<const std::int32_t> ids,
         std::span<const std::int32_t> types) {
  const auto offset = line * batch.input.input_ids.size(1);
  std::copy(ids.begin(), ids.end(), batch.input.input_ids.mutable_data_ptr<std::int64_t>() + offset);
  std::copy(types.begin(), types.end(), batch.input.token_type_ids.mutable_data_ptr<std::int64_t>() + offset);
  std::fill_n(batch.input.attention_mask.mutable_data_ptr<std::int64_t>() + offset, ids.size(), std::int64_t{1});
  batch.tokens += ids.size();
}

LabelledBatch blank_batch(std::int64_t rows, std::int64_t length, std::int32_t pad_id) {
  LabelledBatch batch;
  batch.rows = static_cast<std::uint64_t>(rows);
  // Padding is part of the blank batch; rows are laid over it.
  batch.input.input_ids = at::full({rows, length}, pad_id, at::kLong);
  batch.input.attention_mask = at::zeros({rows, length}, at::kLong);
  batch.input.token_type_ids = at::zeros({rows, length}, at::kLong);
  return batch;
}

template <class T>
std::string_view bytes_of(const Column<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

std::string token_hash(const TokenizedRows& rows) {
  Sha256 hash;
  hash.update(bytes_of(rows.offsets));
  hash.update(bytes_of(rows.ids));
  hash.update(bytes_of(rows.types));
  return hash.hex();
}

}  // namespace

TokenizedRows tokenize(const data::Dataset& dataset, const Tokenizer& tokenizer, std::size_t max_length) {
  std::vector<std::int32_t> ids, types, labels;
  std::vector<std::size_t> offsets = {0};
  std::vector<double> targets;
  for (const auto& example : dataset.examples) {
    std::optional<std::string_view> pair;
    if (example.pair) pair = *example.pair;
    const auto encoding = tokenizer.encode(example.text, pair, max_length);
    ids.insert(ids.end(), encoding.ids.begin(), encoding.ids.end());
    types.insert(types.end(), encoding.type_ids.begin(), encoding.type_ids.end());
    offsets.push_back(ids.size());
    // One of the two lists stays empty and tells which kind of task it is.
    if (dataset.regression)
      targets.push_back(example.value);
    else
      labels.push_back(example.label);
  }
  TokenizedRows rows;
  rows.ids = std::move(ids);
  rows.types = std::move(types);
  rows.offsets = std::move(offsets);
  rows.labels = std::move(labels);
  rows.targets = std::move(targets);
  rows.pad_id = tokenizer.pad_id();
  rows.sha256 = token_hash(rows);
  return rows;
}

LabelledBatch make_batch(const TokenizedRows& rows, std::span<const std::uint32_t> chosen, bool kept) {
  std::size_t longest = 1;
  for (const auto row : chosen) longest = std::max(longest, rows.length(row));
  const auto count = static_cast<std::int64_t>(chosen.size());
  LabelledBatch batch = blank_batch(count, static_cast<std::int64_t>(longest), rows.pad_id);
  if (kept) batch.input.origin = std::make_shared<RowOrigin>(RowOrigin{&rows, {chosen.begin(), chosen.end()}});
  const bool regression = !rows.targets.empty();
  batch.labels = at::empty({count}, regression ? at::kFloat : at::kLong);
  for (std::int64_t line = 0; line < count; ++line) {
    const auto row = chosen[static_cast<std::size_t>(line)];
    lay(batch, line, rows.ids.span().subspan(rows.offsets[row], rows.length(row)),
        rows.types.span().subspan(rows.offsets[row], rows.length(row)));
    if (regression)
      batch.labels.mutable_data_ptr<float>()[line] = static_cast<float>(rows.targets[row]);
    else
      batch.labels.mutable_data_ptr<std::int64_t>()[line] = rows.labels[row];
  }
  return batch;
}

LabelledBatch make_batch(std::span<const Encoding> encodings, std::int32_t pad_id) {
  std::size_t longest = 1;
  for (const auto& encoding : encodings) longest = std::max(longest, encoding.ids.size());
  LabelledBatch batch =
      blank_batch(static_cast<std::int64_t>(encodings.size()), static_cast<std::int64_t>(longest), pad_id);
  for (std::size_t line = 0; line < encodings.size(); ++line)
    lay(batch, static_cast<std::int64_t>(line), encodings[line].ids, encodings[line].type_ids);
  return batch;
}

LabelledBatch on_device(LabelledBatch batch, at::Device device) {
  for (at::Tensor* tensor :
       {&batch.input.input_ids, &batch.input.attention_mask, &batch.input.token_type_ids, &batch.labels}) {
    if (tensor->defined()) *tensor = tensor->to(device);
  }
  return batch;
}

LabelledBatch rows_of(const LabelledBatch& batch, std::uint64_t first, std::uint64_t last) {
  const auto from = static_cast<std::int64_t>(first), count = static_cast<std::int64_t>(last - first);
  const auto rows = [&](const at::Tensor& all) { return all.narrow(0, from, count); };
  LabelledBatch part;
  part.rows = last - first;
  if (part.rows == 0) return part;
  const auto lengths = rows(batch.input.attention_mask).sum(1);
  const auto longest = lengths.max().item<std::int64_t>();
  part.tokens = static_cast<std::uint64_t>(lengths.sum().item<std::int64_t>());
  part.input.input_ids = rows(batch.input.input_ids).narrow(1, 0, longest);
  part.input.attention_mask = rows(batch.input.attention_mask).narrow(1, 0, longest);
  part.input.token_type_ids = rows(batch.input.token_type_ids).narrow(1, 0, longest);
  part.labels = rows(batch.labels);
  if (const auto& origin = batch.input.origin) {
    const auto begin = origin->rows.begin() + from;
    part.input.origin = std::make_shared<RowOrigin>(RowOrigin{origin->split, {begin, begin + count}});
  }
  return part;
}

std::vector<std::vector<std::uint32_t>> passes_by_length(const TokenizedRows& rows,
                                                         std::span<const std::uint32_t> chosen, std::uint32_t most) {
  std::vector<std::uint32_t> sorted(chosen.begin(), chosen.end());
  std::stable_sort(sorted.begin(), sorted.end(), [&](auto a, auto b) { return rows.length(a) > rows.length(b); });
  // cheapest[i]: tokens of the best cut of sorted[i..], whose first pass ends at cut[i].
  std::vector<std::size_t> cheapest(sorted.size() + 1, 0), cut(sorted.size() + 1, 0);
  for (std::size_t first = sorted.size(); first-- > 0;) {
    cheapest[first] = std::numeric_limits<std::size_t>::max();
    const auto end = std::min(sorted.size(), first + most);
    for (std::size_t last = first + 1; last <= end; ++last) {
      const auto cost = (last - first) * rows.length(sorted[first]) + kPassTokens + cheapest[last];
      if (cost >= cheapest[first]) continue;
      cheapest[first] = cost;
      cut[first] = last;
    }
  }
  std::vector<std::vector<std::uint32_t>> passes;
  for (std::size_t first = 0; first < sorted.size(); first = cut[first])
    passes.emplace_back(sorted.begin() + static_cast<std::ptrdiff_t>(first),
                        sorted.begin() + static_cast<std::ptrdiff_t>(cut[first]));
  return passes;
}

std::vector<std::vector<std::uint32_t>> batches_by_length(const TokenizedRows& rows, std::uint32_t size) {
  std::vector<std::uint32_t> order(rows.size());
  std::iota(order.begin(), order.end(), 0U);
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return rows.length(a) > rows.length(b); });
  std::vector<std::vector<std::uint32_t>> batches;
  for (std::size_t first = 0; first < order.size(); first += size) {
    const auto last = std::min(order.size(), first + size);
    batches.emplace_back(order.begin() + static_cast<std::ptrdiff_t>(first),
                         order.begin() + static_cast<std::ptrdiff_t>(last));
  }
  return batches;
}

}  // namespace fathom::trainer
