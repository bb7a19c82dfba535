// Reading tokenizer files. Everything in them is checked before it is used: sizes, ids, types, references.
// Thread: free functions without state. Errors name the file and the key.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "common/result.hpp"
#include "trainer/tokenizer/pipeline.hpp"

namespace fathom::trainer {

// Limits on what a file may hold; far above any published tokenizer.
inline constexpr std::uint64_t kMaxTokenizerBytes = 256ULL << 20;
inline constexpr std::int32_t kMaxVocabulary = 4'000'000;
inline constexpr std::size_t kMaxTokenBytes = 4096;

// What tokenizer_config.json (or a default) says where the vocabulary stands alone.
struct ConfigHints {
  bool has_lowercase = false;  // whether do_lower_case was given
  bool lowercase = true;
  bool split_han = true;
  bool has_strip_accents = false;
  bool strip_accents = true;
  bool add_prefix_space = false;
};

// The text of a tokenizer.json. `name` is used in errors.
Result<PipelineParts> parse_tokenizer_json(std::string_view text, const std::string& name);

// One token a line; ids are line numbers from 0.
Result<PipelineParts> parse_vocab_txt(std::string_view text, const ConfigHints& hints, const std::string& name);

// vocab.json {token: id} and merges.txt ("#version" line, then "left right" a line): RoBERTa's layout.
Result<PipelineParts> parse_vocab_and_merges(std::string_view vocab, std::string_view merges, const ConfigHints& hints,
                                             const std::string& name);

// tokenizer_config.json; an absent file gives the defaults.
Result<ConfigHints> read_hints(const std::filesystem::path& folder);

// {token: id} with every id checked. Shared by the parsers.
Result<Vocabulary> read_vocabulary(const nlohmann::json& object, const std::string& name);
// One more than the largest id of a vocabulary and its added tokens.
std::int32_t size_of(const Vocabulary& vocabulary, const PipelineParts& parts);

}  // namespace fathom::trainer
