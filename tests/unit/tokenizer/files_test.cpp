// Tokenizer files that are broken, foreign or unusual, and the pieces that golden files do not pin down.
#include "trainer/tokenizer/files.hpp"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "trainer/tokenizer/added_tokens.hpp"
#include "trainer/tokenizer/byte_bpe.hpp"

namespace fathom::trainer {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

json small_wordpiece() {
  return json::parse(R"({
    "added_tokens": [{"id": 2, "content": "[CLS]", "special": true}, {"id": 3, "content": "[SEP]", "special": true}],
    "normalizer": {"type": "BertNormalizer", "lowercase": true},
    "pre_tokenizer": {"type": "BertPreTokenizer"},
    "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
    "model": {"type": "WordPiece", "unk_token": "[UNK]",
              "vocab": {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "play": 4, "##ing": 5, "##s": 6}}})");
}

std::string error_of(const json& file) {
  const auto parts = parse_tokenizer_json(file.dump(), "t.json");
  return parts ? "" : parts.error().message;
}

std::vector<std::int32_t> ids_of(const json& file, std::string_view text) {
  auto parts = parse_tokenizer_json(file.dump(), "t.json");
  if (!parts) return {};
  return Pipeline(std::move(parts).value()).encode(text, std::nullopt, 100).ids;
}

TEST(TokenizerJson, ReadsWordPieceWithBertProcessing) {
  EXPECT_THAT(ids_of(small_wordpiece(), "Playing plays x"), ElementsAre(2, 4, 5, 4, 6, 1, 3));
}

TEST(TokenizerJson, BrokenFilesAreRefusedWithTheKey) {
  EXPECT_THAT(parse_tokenizer_json("{", "t.json").error().message, HasSubstr("t.json: not a JSON object"));
  json file = small_wordpiece();
  file["model"]["vocab"]["play"] = -1;
  EXPECT_THAT(error_of(file), HasSubstr("model.vocab: the id of token play"));
  file["model"]["vocab"]["play"] = 4e9;
  EXPECT_THAT(error_of(file), HasSubstr("the id of token play"));
  file = small_wordpiece();
  file["model"]["vocab"].erase("[UNK]");
  EXPECT_THAT(error_of(file), HasSubstr("model.unk_token"));
  file = small_wordpiece();
  file["post_processor"]["sep"] = 3;
  EXPECT_THAT(error_of(file), HasSubstr("post_processor"));
  file = small_wordpiece();
  file["added_tokens"][0]["id"] = "two";
  EXPECT_THAT(error_of(file), HasSubstr("added_tokens.id"));
  file["added_tokens"] = 5;
  EXPECT_THAT(error_of(file), HasSubstr("added_tokens"));
}

TEST(TokenizerJson, ForeignPartsAreNamedAsUnsupported) {
  json file = small_wordpiece();
  file["model"]["type"] = "Unigram";
  EXPECT_THAT(error_of(file), HasSubstr("model.type is \"Unigram\"; this version reads WordPiece or BPE"));
  file = small_wordpiece();
  file["normalizer"] = {{"type", "NFKC"}};
  EXPECT_THAT(error_of(file), HasSubstr("normalizer is \"NFKC\""));
}

TEST(TokenizerJson, SameIdsAsTheVocabularyFilesOfRoberta) {
  const json file = json::parse(R"({
    "added_tokens": [{"id": 4, "content": "<mask>", "lstrip": true, "special": true}],
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false},
    "post_processor": {"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0]},
    "model": {"type": "BPE", "unk_token": null, "merges": ["a b", ["Ġ", "ab"]],
              "vocab": {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "a": 5, "b": 6, "Ġ": 7, "ab": 8, "Ġab": 9}}})");
  EXPECT_THAT(ids_of(file, "ab ab  <mask>ba"), ElementsAre(0, 8, 9, 4, 6, 5, 2));
  auto parts = parse_tokenizer_json(file.dump(), "t.json");
  ASSERT_TRUE(parts);
  EXPECT_EQ(parts->pad_id, 1);
  EXPECT_EQ(parts->vocab_size, 10);
}

TEST(VocabTxt, MissingSpecialTokensAreNamed) {
  EXPECT_THAT(parse_vocab_txt("[PAD]\n[UNK]\nfoo\n", {}, "vocab.txt").error().message,
              HasSubstr("[CLS] is not in the vocabulary"));
  EXPECT_THAT(parse_vocab_txt("", {}, "vocab.txt").error().message, HasSubstr("the file is empty"));
}

TEST(Load, SaysWhatFilesWereLookedFor) {
  std::string pattern = std::filesystem::temp_directory_path() / "fathom-load-XXXXXX";
  const std::filesystem::path folder = mkdtemp(pattern.data());
  EXPECT_THAT(Tokenizer::load(folder).error().message, HasSubstr("expected tokenizer.json, or vocab.txt"));
  std::ofstream(folder / "vocab.txt") << "[PAD]\n[UNK]\n[CLS]\n[SEP]\nplay\n";
  EXPECT_TRUE(Tokenizer::load(folder));
  std::ofstream(folder / "tokenizer_config.json") << "nonsense";
  EXPECT_THAT(Tokenizer::load(folder).error().message, HasSubstr("tokenizer_config.json: not a JSON object"));
  std::filesystem::remove_all(folder);
}

TEST(LongestFirst, TheRuleOfTokenizers) {
  using Kept = std::pair<std::size_t, std::size_t>;
  EXPECT_EQ(longest_first(3, 4, 7), Kept(3, 4));
  EXPECT_EQ(longest_first(10, 10, 7), Kept(3, 4));  // equal sides: the second gets the odd one
  EXPECT_EQ(longest_first(10, 2, 7), Kept(5, 2));
  EXPECT_EQ(longest_first(10, 9, 7), Kept(4, 3));
  EXPECT_EQ(longest_first(2, 10, 7), Kept(2, 5));
  EXPECT_EQ(longest_first(10, 0, 7), Kept(7, 0));
  EXPECT_EQ(longest_first(10, 10, 0), Kept(0, 0));
}

TEST(Encode, SpecialTokensStayWhenThereIsNoRoom) {
  auto parts = parse_tokenizer_json(small_wordpiece().dump(), "t.json");
  ASSERT_TRUE(parts);
  const Pipeline tokenizer(std::move(parts).value());
  EXPECT_THAT(tokenizer.encode("play play", std::nullopt, 0).ids, ElementsAre(2, 3));
  EXPECT_THAT(tokenizer.encode("play play", "play", 4).ids, ElementsAre(2, 4, 3, 3));
}

TEST(AddedTokens, LongestWinsWordsAndStrips) {
  const AddedTokens tokens(
      {{"<a>", 1}, {"<a><b>", 2}, {"word", 3, true}, {"<l>", 4, false, true}, {"<r>", 5, false, false, true}});
  const auto ids = [&](std::string_view text) {
    std::string out;
    for (const auto& piece : tokens.split(text))
      out += piece.id >= 0 ? "#" + std::to_string(piece.id) : "(" + std::string(piece.text) + ")";
    return out;
  };
  EXPECT_EQ(ids("x<a><b>y<a>"), "(x)#2(y)#1");
  EXPECT_EQ(ids("word words, word"), "#3( words, )#3");
  EXPECT_EQ(ids("a \xC2\xA0<l> b"), "(a)#4( b)");
  EXPECT_EQ(ids("a <r>  b"), "(a )#5(b)");
  EXPECT_EQ(ids(""), "");
}

TEST(Gpt2Words, CoverTheTextByThePattern) {
  const auto words = [](std::string_view text) {
    std::vector<std::string> out;
    std::size_t begin = 0;
    for (const std::size_t end : gpt2_words(text)) {
      out.emplace_back(text.substr(begin, end - begin));
      begin = end;
    }
    return out;
  };
  EXPECT_THAT(words("I'll go 12x!?"), ElementsAre("I", "'ll", " go", " 12", "x", "!?"));
  EXPECT_THAT(words("a   b"), ElementsAre("a", "  ", " b"));
  EXPECT_THAT(words("a \n b  "), ElementsAre("a", " \n", " b", "  "));
  EXPECT_THAT(words("\n"), ElementsAre("\n"));
}

// A text without blanks must not take quadratic time: 300,000 characters are far below a second.
TEST(ByteBpe, LongWordsAreFast) {
  Vocabulary vocabulary;
  const auto characters = byte_characters();
  for (std::size_t i = 0; i < 256; ++i) vocabulary.emplace(characters[i], static_cast<std::int32_t>(i));
  vocabulary.emplace("aa", 256);
  vocabulary.emplace("aaaa", 257);
  const ByteBpe model(vocabulary, {{"a", "a"}, {"aa", "aa"}}, {});
  std::vector<std::int32_t> ids;
  model.append(std::string(300'000, 'a'), ids);
  EXPECT_EQ(ids.size(), 75'000U);
}

}  // namespace
}  // namespace fathom::trainer
