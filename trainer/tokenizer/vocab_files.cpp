#include <algorithm>

#include <nlohmann/json.hpp>

#include "common/files.hpp"
#include "trainer/tokenizer/byte_bpe.hpp"
#include "trainer/tokenizer/files.hpp"
#include "trainer/tokenizer/wordpiece.hpp"

namespace fathom::trainer {

using nlohmann::json;

namespace {

using What = TemplatePiece::What;

Error corrupt(const std::string& name, const std::string& what) { return {Errc::corrupt, name + ": " + what}; }

// Calls `each(line, number from 1)` without the line ends; a last line without one counts.
template <class Each>
Status for_lines(std::string_view text, Each each) {
  for (std::size_t at = 0, number = 1; at < text.size(); ++number) {
    std::size_t end = text.find('\n', at);
    if (end == std::string_view::npos) end = text.size();
    std::string_view line = text.substr(at, end - at);
    if (line.ends_with('\r')) line.remove_suffix(1);
    FATHOM_TRY(each(line, number));
    at = end + 1;
  }
  return success();
}

Result<std::int32_t> id_of(const Vocabulary& vocabulary, std::string_view token, const std::string& name) {
  const auto found = vocabulary.find(token);
  if (found != vocabulary.end()) return found->second;
  return corrupt(name, "the special token " + std::string(token) + " is not in the vocabulary");
}

// What a vocabulary calls the tokens around a text.
struct SpecialTokens {
  const char* begin = "[CLS]";
  const char* end = "[SEP]";
  const char* pad = "[PAD]";
  const char* mask = "[MASK]";
};

// Where nothing says it: a vocabulary with capital letters outside of [brackets] is a cased one.
bool looks_cased(const Vocabulary& vocabulary) {
  return std::any_of(vocabulary.begin(), vocabulary.end(), [](const auto& entry) {
    const std::string& token = entry.first;
    return !token.starts_with('[') &&
           std::any_of(token.begin(), token.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
  });
}

Result<Vocabulary> lines_as_vocabulary(std::string_view text, const std::string& name) {
  Vocabulary vocabulary;
  FATHOM_TRY(for_lines(text, [&](std::string_view line, std::size_t number) -> Status {
    const std::string where = name + ":" + std::to_string(number);
    if (line.size() > kMaxTokenBytes) return corrupt(where, "a token longer than 4096 bytes");
    if (number > static_cast<std::size_t>(kMaxVocabulary)) return corrupt(where, "more than 4,000,000 tokens");
    vocabulary.insert_or_assign(std::string(line), static_cast<std::int32_t>(number - 1));
    return success();
  }));
  if (vocabulary.empty()) return corrupt(name, "the file is empty; expected one token a line");
  return vocabulary;
}

}  // namespace

Result<Vocabulary> read_vocabulary(const json& object, const std::string& name) {
  if (!object.is_object() || object.empty()) return corrupt(name, "expected a vocabulary {\"token\": id, …}");
  Vocabulary vocabulary;
  vocabulary.reserve(object.size());
  for (const auto& [token, id] : object.items()) {
    const bool whole = id.is_number_integer() && id.get<std::int64_t>() >= 0 && id.get<std::int64_t>() < kMaxVocabulary;
    if (!whole) return corrupt(name, "the id of token " + token.substr(0, 40) + " is no number from 0 to 3,999,999");
    if (token.size() > kMaxTokenBytes) return corrupt(name, "a token longer than 4096 bytes");
    vocabulary.emplace(token, id.get<std::int32_t>());
  }
  return vocabulary;
}

std::int32_t size_of(const Vocabulary& vocabulary, const PipelineParts& parts) {
  std::int32_t largest = -1;
  for (const auto& [token, id] : vocabulary) largest = std::max(largest, id);
  for (const auto& token : parts.added) largest = std::max(largest, token.id);
  for (const auto& token : parts.added_normalized) largest = std::max(largest, token.id);
  return largest + 1;
}

Result<PipelineParts> parse_vocab_txt(std::string_view text, const ConfigHints& hints, const std::string& name) {
  FATHOM_ASSIGN(const Vocabulary vocabulary, lines_as_vocabulary(text, name));
  PipelineParts parts;
  // MPNet has RoBERTa's special tokens around BERT's vocabulary, whose own special tokens are still in it but are
  // words.
  const bool mpnet = vocabulary.contains(std::string_view("<s>")) && vocabulary.contains(std::string_view("</s>")) &&
                     vocabulary.contains(std::string_view("<pad>"));
  const SpecialTokens special = mpnet ? SpecialTokens{"<s>", "</s>", "<pad>", "<mask>"} : SpecialTokens{};
  for (const char* token : {special.pad, "[UNK]", special.begin, special.end, special.mask}) {
    const auto found = vocabulary.find(std::string_view(token));
    const bool swallows = mpnet && token == special.mask;  // the blank before it
    if (found != vocabulary.end()) parts.added.push_back({token, found->second, false, swallows, false});
  }
  FATHOM_TRY(id_of(vocabulary, "[UNK]", name));
  FATHOM_ASSIGN(const std::int32_t cls, id_of(vocabulary, special.begin, name));
  FATHOM_ASSIGN(const std::int32_t sep, id_of(vocabulary, special.end, name));
  FATHOM_ASSIGN(parts.pad_id, id_of(vocabulary, special.pad, name));
  WordPieceOptions options;
  options.lowercase = hints.has_lowercase ? hints.lowercase : !looks_cased(vocabulary);
  options.strip_accents = hints.has_strip_accents ? hints.strip_accents : options.lowercase;
  options.split_han = hints.split_han;
  parts.model = std::make_unique<WordPiece>(vocabulary, options);
  parts.single = {{What::special, cls, 0}, {What::first, 0, 0}, {What::special, sep, 0}};
  parts.pair = parts.single;
  if (mpnet) parts.pair.push_back({What::special, sep, 0});
  parts.pair.insert(parts.pair.end(), {{What::second, 0, 1}, {What::special, sep, 1}});
  parts.vocab_size = size_of(vocabulary, parts);
  return parts;
}

Result<PipelineParts> parse_vocab_and_merges(std::string_view vocab, std::string_view merges, const ConfigHints& hints,
                                             const std::string& name) {
  const json object = json::parse(vocab, nullptr, false);
  if (object.is_discarded()) return corrupt(name, "not valid JSON");
  FATHOM_ASSIGN(const Vocabulary vocabulary, read_vocabulary(object, name));
  std::vector<std::pair<std::string, std::string>> pairs;
  FATHOM_TRY(for_lines(merges, [&](std::string_view line, std::size_t number) -> Status {
    if (line.empty() || line.starts_with("#version")) return success();
    const std::size_t blank = line.find(' ');
    const bool two = blank != std::string_view::npos && blank > 0 && blank + 1 < line.size();
    if (!two) return corrupt("merges.txt:" + std::to_string(number), "expected two tokens and a blank between them");
    pairs.emplace_back(line.substr(0, blank), line.substr(blank + 1));
    return success();
  }));
  PipelineParts parts;
  for (const char* token : {"<s>", "</s>", "<pad>", "<unk>", "<mask>"}) {
    FATHOM_ASSIGN(const std::int32_t id, id_of(vocabulary, token, name));
    parts.added.push_back({token, id, false, std::string_view(token) == "<mask>", false});
  }
  const std::int32_t begin = parts.added[0].id;
  const std::int32_t end = parts.added[1].id;
  parts.pad_id = parts.added[2].id;
  parts.model =
      std::make_unique<ByteBpe>(vocabulary, pairs, ByteBpe::Options{hints.add_prefix_space, parts.added[3].id});
  parts.single = {{What::special, begin, 0}, {What::first, 0, 0}, {What::special, end, 0}};
  parts.pair = parts.single;
  parts.pair.insert(parts.pair.end(), {{What::special, end, 0}, {What::second, 0, 0}, {What::special, end, 0}});
  parts.vocab_size = size_of(vocabulary, parts);
  return parts;
}

Result<ConfigHints> read_hints(const std::filesystem::path& folder) {
  ConfigHints hints;
  const std::string path = (folder / "tokenizer_config.json").string();
  auto text = read_file(path, kMaxTokenizerBytes);
  if (!text) return text.error().code == Errc::not_found ? Result<ConfigHints>(hints) : text.error();
  const json config = json::parse(*text, nullptr, false);
  if (!config.is_object()) return corrupt(path, "not a JSON object");
  const auto flag = [&config](const char* key, bool& value) {
    const auto found = config.find(key);
    if (found == config.end() || !found->is_boolean()) return false;
    value = found->get<bool>();
    return true;
  };
  hints.has_lowercase = flag("do_lower_case", hints.lowercase);
  hints.has_strip_accents = flag("strip_accents", hints.strip_accents);
  flag("tokenize_chinese_chars", hints.split_han);
  flag("add_prefix_space", hints.add_prefix_space);
  return hints;
}

}  // namespace fathom::trainer
