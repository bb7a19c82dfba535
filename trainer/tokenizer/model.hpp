// The middle of a tokenizer: text between added tokens becomes ids. Two kinds: WordPiece behind BERT's clean-up, and
// byte-level BPE. Thread: const after construction.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace fathom::trainer {

// Lets unordered_map<std::string, …> be asked with a string_view without a copy.
struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
};
using Vocabulary = std::unordered_map<std::string, std::int32_t, TextHash, std::equal_to<>>;

class TokenModel {
 public:
  virtual ~TokenModel() = default;
  // Text as the vocabulary spells it (clean-up, lower case); added tokens marked "normalized" are looked for in it.
  [[nodiscard]] virtual std::string normalize(std::string_view text) const = 0;
  // Appends the ids of normalized text.
  virtual void append(std::string_view normalized, std::vector<std::int32_t>& ids) const = 0;
};

}  // namespace fathom::trainer
