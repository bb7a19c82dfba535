// BERT: clean-up, words and punctuation, then the longest pieces first.
// Thread: const after construction.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "trainer/tokenizer/model.hpp"

namespace fathom::trainer {

// As tokenizer.json's BertNormalizer and WordPiece spell them, with the same defaults.
struct WordPieceOptions {
  bool clean_text = true;
  bool split_han = true;  // handle_chinese_chars
  bool lowercase = true;
  bool strip_accents = true;  // follows lowercase where a file says null
  std::string unknown = "[UNK]";
  std::string prefix = "##";         // marks a piece that continues a word
  std::size_t max_characters = 100;  // a longer word is one unknown token
};

class WordPiece final : public TokenModel {
 public:
  // `vocabulary` must hold options.unknown; the loader checks it.
  WordPiece(const Vocabulary& vocabulary, WordPieceOptions options);

  [[nodiscard]] std::string normalize(std::string_view text) const override;
  void append(std::string_view normalized, std::vector<std::int32_t>& ids) const override;

 private:
  void append_word(std::string_view word, std::size_t characters, std::vector<std::int32_t>& ids) const;

  WordPieceOptions options_;
  std::int32_t unknown_ = 0;
  std::size_t longest_ = 1;   // bytes of the longest entry: no longer piece is looked up
  Vocabulary starts_;         // pieces that begin a word
  Vocabulary continuations_;  // pieces that go on, without their prefix
};

}  // namespace fathom::trainer
