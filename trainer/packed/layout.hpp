// Batches without their padding: the tokens of all sequences one after the other, those of several jobs job by job.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "trainer/model/encoder.hpp"
#include "trainer/packed/kernels.hpp"

namespace fathom::trainer::packed {

struct Layout {
  std::int64_t sequences = 0, tokens = 0, longest = 0;
  std::vector<std::int32_t> ids, types, positions;  // [tokens]; positions: rows of the model's table
  std::vector<std::int64_t> offsets;                // [sequences + 1]: first token of each sequence
  std::vector<Place> places;                        // [tokens]
  // The first token of every sequence, as rows of their own.
  std::vector<std::int64_t> first_offsets;  // 0, 1, …, sequences
  std::vector<Place> first_places;          // [sequences]
};

// Nothing when the batch is not made of sequences with their padding behind them (a hole, or a row without tokens).
// first_row: the number of the batch's first row in its optimizer step. Throws std::invalid_argument as forward() does
// for a batch that does not fit the model, and for ids outside the vocabulary or the types.
std::optional<Layout> layout_of(const Batch& batch, const ModelConfig& config, std::int64_t first_row);

// Some of its sequences, in the order of `chosen`, with the places that they have in it.
Layout part_of(const Layout& layout, const std::vector<std::int64_t>& chosen);

// Layouts of several jobs one behind the other, for one pass over all their rows; Place::job is the index in `jobs`.
Layout together(const std::vector<const Layout*>& jobs);

// Rows of one job that stand together, half-open: its sequences, which are its rows where there is one row per
// sequence, and its tokens.
struct Stretch {
  std::int64_t first_sequence = 0, last_sequence = 0, first_token = 0, last_token = 0;
};
// Of every job, in the order of the rows.
std::vector<Stretch> stretches_of(const Layout& layout);

}  // namespace fathom::trainer::packed
