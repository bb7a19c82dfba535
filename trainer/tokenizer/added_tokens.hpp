// Tokens that are found in the text before the model sees it: "[SEP]" typed by a user is the special token.
// The rules (longest match first, lstrip, rstrip, single_word) are those of `tokenizers`' AddedVocabulary.
// Thread: const after construction.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fathom::trainer {

struct AddedToken {
  std::string content;
  std::int32_t id = 0;
  bool single_word = false;  // only where no word character touches it
  bool lstrip = false;       // swallows blanks on its left
  bool rstrip = false;       // swallows blanks on its right
};

class AddedTokens {
 public:
  // A stretch of text: a token (id >= 0) or what lies between tokens (id -1). Views into the text given to split().
  struct Piece {
    std::string_view text;
    std::int32_t id = -1;
  };

  AddedTokens() = default;
  explicit AddedTokens(std::vector<AddedToken> tokens);

  [[nodiscard]] std::vector<Piece> split(std::string_view text) const;

 private:
  [[nodiscard]] const AddedToken* match(std::string_view text, std::size_t at) const;

  std::vector<AddedToken> tokens_;                       // longest first
  std::array<std::vector<std::uint32_t>, 256> by_byte_;  // indexes into tokens_ by first byte, longest first
};

}  // namespace fathom::trainer
