#include "trainer/tokenizer/pipeline.hpp"

#include <algorithm>

namespace fathom::trainer {

std::pair<std::size_t, std::size_t> longest_first(std::size_t first, std::size_t second, std::size_t budget) {
  if (first + second <= budget) return {first, second};
  const std::size_t shorter = std::min({first, second, budget / 2});
  const std::size_t longer = budget - shorter;
  if (first > second) return {longer, shorter};
  return {shorter, longer};
}

Pipeline::Pipeline(PipelineParts parts)
    : parts_(std::move(parts)), raw_(parts_.added), normalized_(parts_.added_normalized) {}

std::vector<std::int32_t> Pipeline::tokens(std::string_view text) const {
  std::vector<std::int32_t> ids;
  ids.reserve(text.size() / 4 + 8);
  for (const auto& piece : raw_.split(text)) {
    if (piece.id >= 0) {
      ids.push_back(piece.id);
      continue;
    }
    const std::string normalized = parts_.model->normalize(piece.text);
    for (const auto& part : normalized_.split(normalized)) {
      if (part.id >= 0) {
        ids.push_back(part.id);
      } else {
        parts_.model->append(part.text, ids);
      }
    }
  }
  return ids;
}

Encoding Pipeline::encode(std::string_view text, std::optional<std::string_view> pair, std::size_t max_length) const {
  std::vector<std::int32_t> first = tokens(text);
  std::vector<std::int32_t> second;
  if (pair) second = tokens(*pair);
  const Template& frame = pair ? parts_.pair : parts_.single;
  const auto specials =
      static_cast<std::size_t>(std::count_if(frame.begin(), frame.end(), [](const TemplatePiece& piece) {
        return piece.what == TemplatePiece::What::special;
      }));
  const std::size_t budget = max_length > specials ? max_length - specials : 0;
  const auto [keep_first, keep_second] = longest_first(first.size(), second.size(), budget);
  first.resize(keep_first);
  second.resize(keep_second);

  Encoding out;
  out.ids.reserve(specials + keep_first + keep_second);
  for (const TemplatePiece& piece : frame) {
    switch (piece.what) {
      case TemplatePiece::What::special:
        out.ids.push_back(piece.id);
        break;
      case TemplatePiece::What::first:
        out.ids.insert(out.ids.end(), first.begin(), first.end());
        break;
      case TemplatePiece::What::second:
        out.ids.insert(out.ids.end(), second.begin(), second.end());
        break;
    }
    out.type_ids.resize(out.ids.size(), piece.type_id);
  }
  return out;
}

}  // namespace fathom::trainer
