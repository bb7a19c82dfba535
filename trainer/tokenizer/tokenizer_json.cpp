#include <nlohmann/json.hpp>

#include "trainer/tokenizer/byte_bpe.hpp"
#include "trainer/tokenizer/files.hpp"
#include "trainer/tokenizer/wordpiece.hpp"

namespace fathom::trainer {

using nlohmann::json;

namespace {

using What = TemplatePiece::What;

// One tokenizer.json being read. Keys that are absent read as null; every getter checks the type.
class Reader {
 public:
  Reader(const json& root, const std::string& name) : root_(root), name_(name) {}

  Result<PipelineParts> read() {
    const json& model = member(root_, "model");
    FATHOM_ASSIGN(vocabulary_, read_vocabulary(member(model, "vocab"), name_ + ": model.vocab"));
    FATHOM_ASSIGN(const std::vector<AddedFlags> added, read_added());
    const std::string type = text(member(model, "type"), "");
    if (type == "WordPiece") {
      FATHOM_TRY(read_wordpiece(model));
    } else if (type == "BPE") {
      FATHOM_TRY(read_bpe(model));
    } else {
      return unsupported("model.type", type, "WordPiece or BPE");
    }
    for (const AddedFlags& token : added) place(token);
    FATHOM_TRY(read_post_processor());
    parts_.pad_id = pad_id();
    parts_.vocab_size = size_of(vocabulary_, parts_);
    return std::move(parts_);
  }

 private:
  struct AddedFlags {
    AddedToken token;
    bool normalized = false;
  };

  static const json& member(const json& object, const char* key) {
    static const json nothing;
    if (!object.is_object()) return nothing;
    const auto found = object.find(key);
    return found == object.end() ? nothing : *found;
  }
  static std::string text(const json& value, const std::string& otherwise) {
    return value.is_string() ? value.get<std::string>() : otherwise;
  }
  static bool flag(const json& value, bool otherwise) { return value.is_boolean() ? value.get<bool>() : otherwise; }

  [[nodiscard]] Error corrupt(const std::string& what) const { return {Errc::corrupt, name_ + ": " + what}; }
  [[nodiscard]] Error unsupported(const std::string& key, const std::string& got, const std::string& wanted) const {
    return {Errc::unsupported, name_ + ": " + key + " is \"" + got + "\"; this version reads " + wanted};
  }

  Result<std::int32_t> checked_id(const json& value, const std::string& key) const {
    const bool whole =
        value.is_number_integer() && value.get<std::int64_t>() >= 0 && value.get<std::int64_t>() < kMaxVocabulary;
    if (!whole) return corrupt(key + ": expected a token id from 0 to 3,999,999");
    return value.get<std::int32_t>();
  }

  Result<std::vector<AddedFlags>> read_added() {
    std::vector<AddedFlags> out;
    const json& list = member(root_, "added_tokens");
    if (list.is_null()) return out;
    if (!list.is_array() || list.size() > 100'000) return corrupt("added_tokens: expected a list of at most 100,000");
    for (const json& entry : list) {
      AddedFlags added;
      added.token.content = text(member(entry, "content"), "");
      const bool fits = !added.token.content.empty() && added.token.content.size() <= kMaxTokenBytes;
      if (!fits) return corrupt("added_tokens: an entry without content, or of more than 4096 bytes");
      FATHOM_ASSIGN(added.token.id, checked_id(member(entry, "id"), "added_tokens.id"));
      added.token.single_word = flag(member(entry, "single_word"), false);
      added.token.lstrip = flag(member(entry, "lstrip"), false);
      added.token.rstrip = flag(member(entry, "rstrip"), false);
      added.normalized = flag(member(entry, "normalized"), false);
      vocabulary_.insert_or_assign(added.token.content, added.token.id);
      out.push_back(std::move(added));
    }
    return out;
  }

  void place(const AddedFlags& added) {
    if (!added.normalized) {
      parts_.added.push_back(added.token);
      return;
    }
    AddedToken token = added.token;
    token.content = parts_.model->normalize(token.content);
    parts_.added_normalized.push_back(std::move(token));
  }

  Status read_wordpiece(const json& model) {
    WordPieceOptions options;
    options.unknown = text(member(model, "unk_token"), options.unknown);
    options.prefix = text(member(model, "continuing_subword_prefix"), options.prefix);
    const json& most = member(model, "max_input_chars_per_word");
    if (most.is_number_unsigned()) options.max_characters = most.get<std::size_t>();
    if (!vocabulary_.contains(options.unknown)) return corrupt("model.unk_token is not in the vocabulary");
    const json& clean = member(root_, "normalizer");
    const std::string kind = text(member(clean, "type"), "none");
    if (kind != "BertNormalizer") return unsupported("normalizer", kind, "BertNormalizer before WordPiece");
    options.clean_text = flag(member(clean, "clean_text"), true);
    options.split_han = flag(member(clean, "handle_chinese_chars"), true);
    options.lowercase = flag(member(clean, "lowercase"), true);
    options.strip_accents = flag(member(clean, "strip_accents"), options.lowercase);
    const std::string words = text(member(member(root_, "pre_tokenizer"), "type"), "none");
    if (words != "BertPreTokenizer") return unsupported("pre_tokenizer", words, "BertPreTokenizer before WordPiece");
    parts_.model = std::make_unique<WordPiece>(vocabulary_, options);
    return success();
  }

  Status read_bpe(const json& model) {
    const json& words = member(root_, "pre_tokenizer");
    const std::string kind = text(member(words, "type"), "none");
    const bool plain = kind == "ByteLevel" && flag(member(words, "use_regex"), true);
    if (!plain) return unsupported("pre_tokenizer", kind, "ByteLevel with GPT-2's pattern before BPE");
    if (!member(root_, "normalizer").is_null()) return unsupported("normalizer", "set", "none before byte-level BPE");
    std::vector<std::pair<std::string, std::string>> merges;
    const json& list = member(model, "merges");
    if (!list.is_array() || list.size() > kMaxVocabulary) return corrupt("model.merges: expected a list");
    for (const json& entry : list) {
      std::string left;
      std::string right;
      if (entry.is_array() && entry.size() == 2) {
        left = text(entry[0], "");
        right = text(entry[1], "");
      } else if (const std::string both = text(entry, ""); both.find(' ') != std::string::npos) {
        left = both.substr(0, both.find(' '));
        right = both.substr(both.find(' ') + 1);
      }
      if (left.empty() || right.empty()) return corrupt("model.merges: expected pairs of tokens");
      merges.emplace_back(std::move(left), std::move(right));
    }
    ByteBpe::Options options;
    options.add_prefix_space = flag(member(words, "add_prefix_space"), false);
    const auto unknown = vocabulary_.find(text(member(model, "unk_token"), ""));
    if (unknown != vocabulary_.end()) options.unknown = unknown->second;
    parts_.model = std::make_unique<ByteBpe>(vocabulary_, merges, options);
    return success();
  }

  Status read_post_processor() {
    const json& post = member(root_, "post_processor");
    const std::string kind = text(member(post, "type"), "none");
    if (kind == "TemplateProcessing") {
      FATHOM_ASSIGN(parts_.single, read_template(post, "single"));
      FATHOM_ASSIGN(parts_.pair, read_template(post, "pair"));
      return success();
    }
    const bool roberta = kind == "RobertaProcessing";
    if (!roberta && kind != "BertProcessing") {
      return unsupported("post_processor", kind, "TemplateProcessing, BertProcessing or RobertaProcessing");
    }
    const json& cls = member(post, "cls");
    const json& sep = member(post, "sep");
    const bool pairs = cls.is_array() && cls.size() == 2 && sep.is_array() && sep.size() == 2;
    if (!pairs) return corrupt("post_processor: expected cls and sep as [token, id]");
    FATHOM_ASSIGN(const std::int32_t begin, checked_id(cls[1], "post_processor.cls"));
    FATHOM_ASSIGN(const std::int32_t end, checked_id(sep[1], "post_processor.sep"));
    parts_.single = {{What::special, begin, 0}, {What::first, 0, 0}, {What::special, end, 0}};
    parts_.pair = parts_.single;
    if (roberta) parts_.pair.push_back({What::special, end, 0});
    const std::int32_t type = roberta ? 0 : 1;
    parts_.pair.insert(parts_.pair.end(), {{What::second, 0, type}, {What::special, end, type}});
    return success();
  }

  Result<Template> read_template(const json& post, const char* key) {
    const json& list = member(post, key);
    if (!list.is_array() || list.empty() || list.size() > 64) return corrupt(std::string("post_processor.") + key);
    Template out;
    for (const json& entry : list) {
      const json& special = member(entry, "SpecialToken");
      const json& sequence = member(entry, "Sequence");
      const json& body = special.is_null() ? sequence : special;
      TemplatePiece piece;
      const std::string id = text(member(body, "id"), "");
      const json& type = member(body, "type_id");
      if (type.is_number_integer()) piece.type_id = type.get<std::int64_t>() == 0 ? 0 : 1;
      if (special.is_null()) {
        if (id != "A" && id != "B") return corrupt(std::string("post_processor.") + key + ": expected sequence A or B");
        piece.what = id == "A" ? What::first : What::second;
        out.push_back(piece);
        continue;
      }
      // A special token may stand for several ids (post_processor.special_tokens).
      const json& ids = member(member(member(post, "special_tokens"), id.c_str()), "ids");
      if (!ids.is_array() || ids.empty() || ids.size() > 16) return corrupt("post_processor.special_tokens: " + id);
      for (const json& value : ids) {
        FATHOM_ASSIGN(piece.id, checked_id(value, "post_processor.special_tokens"));
        out.push_back(piece);
      }
    }
    return out;
  }

  std::int32_t pad_id() const {
    // Special tokens first: MPNet's vocabulary has a word "[PAD]" that pads nothing.
    for (const AddedToken& added : parts_.added) {
      if (added.content == "[PAD]" || added.content == "<pad>") return added.id;
    }
    for (const char* token : {"[PAD]", "<pad>"}) {
      const auto found = vocabulary_.find(std::string_view(token));
      if (found != vocabulary_.end()) return found->second;
    }
    const json& id = member(member(root_, "padding"), "pad_id");
    return id.is_number_unsigned() && id.get<std::uint64_t>() < kMaxVocabulary ? id.get<std::int32_t>() : 0;
  }

  const json& root_;
  const std::string& name_;
  Vocabulary vocabulary_;
  PipelineParts parts_;
};

}  // namespace

Result<PipelineParts> parse_tokenizer_json(std::string_view text, const std::string& name) {
  const json root = json::parse(text, nullptr, false);
  if (!root.is_object()) return Error{Errc::corrupt, name + ": not a JSON object; is the file complete?"};
  return Reader(root, name).read();
}

}  // namespace fathom::trainer
