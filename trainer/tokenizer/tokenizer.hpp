// Text to token ids, id for id as the Hugging Face `tokenizers` library makes them: WordPiece (BERT) and byte-level BPE
// (RoBERTa). Needs no Torch. Thread: load() returns an object that never changes again; encode() may be called from any
// number of threads at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "common/result.hpp"

namespace fathom::trainer {

// ids and type_ids have the same length: no padding, special tokens included.
struct Encoding {
  std::vector<std::int32_t> ids;
  std::vector<std::int32_t> type_ids;  // 0 for the first text and its specials, 1 for the second (RoBERTa: all 0)
};

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  // Reads the tokenizer of a model folder: tokenizer.json where there is one (truncation and padding stored in it are
  // ignored), else vocab.txt, else vocab.json + merges.txt; tokenizer_config.json says do_lower_case and the like.
  // Errors name the file and what was expected: not_found, corrupt (broken or out of limits), unsupported.
  static Result<std::unique_ptr<Tokenizer>> load(const std::filesystem::path& folder);

  // UTF-8 in (invalid bytes count as U+FFFD). max_length counts the special tokens; the longer side is cut first, as
  // `tokenizers` does it (longest-first). The special tokens are always there, even when max_length is below their
  // number. Never fails: what the vocabulary lacks becomes the unknown token.
  [[nodiscard]] virtual Encoding encode(std::string_view text, std::optional<std::string_view> pair,
                                        std::size_t max_length) const = 0;

  // One more than the largest id: a model's word embeddings must have at least as many rows.
  [[nodiscard]] virtual std::int32_t vocab_size() const = 0;
  [[nodiscard]] virtual std::int32_t pad_id() const = 0;
};

}  // namespace fathom::trainer
