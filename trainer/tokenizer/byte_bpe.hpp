// Byte-level BPE (GPT-2, RoBERTa): words by GPT-2's pattern, bytes spelled as printable characters, merges by rank.
// Thread: const after construction.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "trainer/tokenizer/model.hpp"

namespace fathom::trainer {

// The ends of the words of `text` by GPT-2's pattern
//   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
// as byte offsets; together they cover the text.
std::vector<std::size_t> gpt2_words(std::string_view text);

// The printable character that stands for each byte (GPT-2's bytes_to_unicode), as UTF-8.
std::array<std::string, 256> byte_characters();

class ByteBpe final : public TokenModel {
 public:
  struct Options {
    bool add_prefix_space = false;  // a blank before the text where it does not begin with one
    std::int32_t unknown = -1;      // id for a byte that the vocabulary lacks; -1: such a byte is dropped
  };

  // merges in rank order; a merge whose parts or result are not in the vocabulary is left out (the loader checks them).
  ByteBpe(const Vocabulary& vocabulary, const std::vector<std::pair<std::string, std::string>>& merges,
          Options options);

  [[nodiscard]] std::string normalize(std::string_view text) const override;
  void append(std::string_view normalized, std::vector<std::int32_t>& ids) const override;

 private:
  struct Merge {
    std::uint32_t rank = 0;
    std::int32_t id = 0;
  };
  void append_word(std::string_view word, std::vector<std::int32_t>& ids) const;
  [[nodiscard]] const Merge* merge_of(std::int32_t left, std::int32_t right) const;

  Options options_;
  std::array<std::int32_t, 256> byte_ids_{};         // -1: not in the vocabulary
  std::unordered_map<std::uint64_t, Merge> merges_;  // by left id << 32 | right id
};

}  // namespace fathom::trainer
