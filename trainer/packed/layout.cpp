#include "trainer/packed/layout.hpp"

#include <algorithm>
#include <stdexcept>

#include <fmt/format.h>

namespace fathom::trainer::packed {
namespace {

// Tokens of a row; -1 when its mask is not ones and then zeros.
std::int64_t tokens_of(const std::int64_t* mask, std::int64_t width) {
  const auto* end = std::find(mask, mask + width, 0);
  const bool plain = std::all_of(mask, end, [](auto m) { return m == 1; }) &&
                     std::all_of(end, mask + width, [](auto m) { return m == 0; });
  return plain && end != mask ? end - mask : -1;
}

std::int32_t known(std::int64_t id, std::int64_t size, const char* what) {
  if (id < 0 || id >= size)
    throw std::invalid_argument(fmt::format("batch: {} {}, but the model has {} of them", what, id, size));
  return static_cast<std::int32_t>(id);
}

void append_row(Layout& layout, const std::int64_t* ids, const std::int64_t* types, std::int64_t count,
                const ModelConfig& config, std::int32_t row) {
  std::int64_t seen = 0;  // tokens that advance the position
  for (std::int64_t i = 0; i < count; ++i) {
    layout.ids.push_back(known(ids[i], config.vocabulary, "token id"));
    layout.types.push_back(config.token_types > 0 ? known(types ? types[i] : 0, config.token_types, "token type") : 0);
    // See position_ids() of the reference: BERT counts from 0, the others from their pad's position, which pads keep.
    std::int64_t position = i;
    if (config.family != ModelFamily::bert) {
      const bool token = ids[i] != config.position_pad();
      if (token) ++seen;
      position = (token ? seen : 0) + config.position_pad();
    }
    layout.positions.push_back(static_cast<std::int32_t>(position));
    layout.places.push_back({row, static_cast<std::int32_t>(i), 0});
  }
}

}  // namespace

std::optional<Layout> layout_of(const Batch& batch, const ModelConfig& config, std::int64_t first_row) {
  if (!batch.input_ids.defined() || batch.input_ids.dim() != 2 || !batch.attention_mask.defined() ||
      batch.attention_mask.sizes() != batch.input_ids.sizes())
    throw std::invalid_argument("batch: input_ids and attention_mask must be matrices of one shape");
  const auto ids = batch.input_ids.contiguous(), mask = batch.attention_mask.contiguous();
  const auto types = batch.token_type_ids.defined() ? batch.token_type_ids.contiguous() : at::Tensor();
  const std::int64_t rows = ids.size(0), width = ids.size(1);
  if (rows == 0 || width == 0) throw std::invalid_argument("batch: no rows");
  Layout layout;
  layout.sequences = rows;
  layout.offsets.push_back(0);
  for (std::int64_t row = 0; row < rows; ++row) {
    const auto count = tokens_of(mask.const_data_ptr<std::int64_t>() + row * width, width);
    if (count < 0) return std::nullopt;
    if (count > config.max_length())
      throw std::invalid_argument(fmt::format("batch: {} tokens, but model \"{}\" has positions for {}", count,
                                              config.name, config.max_length()));
    const auto number = static_cast<std::int32_t>(first_row + row);
    append_row(layout, ids.const_data_ptr<std::int64_t>() + row * width,
               types.defined() ? types.const_data_ptr<std::int64_t>() + row * width : nullptr, count, config, number);
    layout.offsets.push_back(layout.offsets.back() + count);
    layout.longest = std::max(layout.longest, count);
    layout.first_places.push_back({number, 0, 0});
  }
  for (std::int64_t row = 0; row <= rows; ++row) layout.first_offsets.push_back(row);
  layout.tokens = layout.offsets.back();
  return layout;
}

Layout part_of(const Layout& layout, const std::vector<std::int64_t>& chosen) {
  Layout part;
  part.sequences = static_cast<std::int64_t>(chosen.size());
  part.offsets.push_back(0);
  part.first_offsets.push_back(0);
  for (const auto s : chosen) {
    const auto first = layout.offsets[static_cast<std::size_t>(s)],
               last = layout.offsets[static_cast<std::size_t>(s) + 1];
    const auto append = [&](auto& to, const auto& from) {
      to.insert(to.end(), from.begin() + first, from.begin() + last);
    };
    append(part.ids, layout.ids);
    append(part.types, layout.types);
    append(part.positions, layout.positions);
    append(part.places, layout.places);
    part.first_places.push_back(layout.first_places[static_cast<std::size_t>(s)]);
    part.offsets.push_back(part.offsets.back() + last - first);
    part.first_offsets.push_back(part.first_offsets.back() + 1);
    part.longest = std::max(part.longest, last - first);
  }
  part.tokens = part.offsets.back();
  return part;
}

Layout together(const std::vector<const Layout*>& jobs) {
  Layout all;
  all.offsets.push_back(0);
  all.first_offsets.push_back(0);
  for (std::size_t job = 0; job < jobs.size(); ++job) {
    const Layout& own = *jobs[job];
    const auto append = [](auto& to, const auto& from) { to.insert(to.end(), from.begin(), from.end()); };
    append(all.ids, own.ids);
    append(all.types, own.types);
    append(all.positions, own.positions);
    const auto number = static_cast<std::int32_t>(job);
    for (const auto& place : own.places) all.places.push_back({place.row, place.position, number});
    for (const auto& place : own.first_places) all.first_places.push_back({place.row, place.position, number});
    for (std::int64_t s = 1; s <= own.sequences; ++s) {
      all.offsets.push_back(all.tokens + own.offsets[static_cast<std::size_t>(s)]);
      all.first_offsets.push_back(all.sequences + s);
    }
    all.sequences += own.sequences;
    all.tokens += own.tokens;
    all.longest = std::max(all.longest, own.longest);
  }
  return all;
}

std::vector<Stretch> stretches_of(const Layout& layout) {
  std::vector<Stretch> stretches;
  std::int32_t job = -1;
  for (std::int64_t s = 0; s < layout.sequences; ++s) {
    const auto at = static_cast<std::size_t>(s);
    if (stretches.empty() || layout.first_places[at].job != job)
      stretches.push_back({s, s, layout.offsets[at], layout.offsets[at]});
    job = layout.first_places[at].job;
    stretches.back().last_sequence = s + 1;
    stretches.back().last_token = layout.offsets[at + 1];
  }
  return stretches;
}

}  // namespace fathom::trainer::packed
