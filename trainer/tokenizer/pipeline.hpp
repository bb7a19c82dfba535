// A whole tokenizer: added tokens, model, truncation, special tokens around the texts.
// Thread: const after construction.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "trainer/tokenizer/added_tokens.hpp"
#include "trainer/tokenizer/model.hpp"
#include "trainer/tokenizer/tokenizer.hpp"

namespace fathom::trainer {

// One place of a template such as "[CLS] A [SEP]".
struct TemplatePiece {
  enum class What { special, first, second };
  What what = What::special;
  std::int32_t id = 0;  // of a special token
  std::int32_t type_id = 0;
};
using Template = std::vector<TemplatePiece>;

// Everything a file says about a tokenizer.
struct PipelineParts {
  std::unique_ptr<TokenModel> model;
  std::vector<AddedToken> added;             // looked for in the raw text
  std::vector<AddedToken> added_normalized;  // looked for after normalize(), spelled as normalize() leaves them
  Template single;
  Template pair;
  std::int32_t vocab_size = 0;
  std::int32_t pad_id = 0;
};

class Pipeline final : public Tokenizer {
 public:
  explicit Pipeline(PipelineParts parts);

  [[nodiscard]] Encoding encode(std::string_view text, std::optional<std::string_view> pair,
                                std::size_t max_length) const override;
  [[nodiscard]] std::int32_t vocab_size() const override { return parts_.vocab_size; }
  [[nodiscard]] std::int32_t pad_id() const override { return parts_.pad_id; }

 private:
  [[nodiscard]] std::vector<std::int32_t> tokens(std::string_view text) const;

  PipelineParts parts_;
  AddedTokens raw_;
  AddedTokens normalized_;
};

// How many tokens of two texts are kept within `budget` (longest first, as in `tokenizers`): the shorter side keeps
// min(n, floor(budget / 2)) when both do not fit, the longer gets the rest; of equal sides the second gets the odd one.
std::pair<std::size_t, std::size_t> longest_first(std::size_t first, std::size_t second, std::size_t budget);

}  // namespace fathom::trainer
