#include <system_error>

#include "common/files.hpp"
#include "trainer/tokenizer/files.hpp"

namespace fathom::trainer {

namespace fs = std::filesystem;

namespace {

bool has_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

Result<PipelineParts> read_parts(const fs::path& folder) {
  const fs::path json = folder / "tokenizer.json";
  if (has_file(json)) {
    FATHOM_ASSIGN(const std::string text, read_file(json.string(), kMaxTokenizerBytes));
    return parse_tokenizer_json(text, json.string());
  }
  FATHOM_ASSIGN(const ConfigHints hints, read_hints(folder));
  const fs::path words = folder / "vocab.txt";
  if (has_file(words)) {
    FATHOM_ASSIGN(const std::string text, read_file(words.string(), kMaxTokenizerBytes));
    return parse_vocab_txt(text, hints, words.string());
  }
  const fs::path vocab = folder / "vocab.json";
  const fs::path merges = folder / "merges.txt";
  if (has_file(vocab) && has_file(merges)) {
    FATHOM_ASSIGN(const std::string vocab_text, read_file(vocab.string(), kMaxTokenizerBytes));
    FATHOM_ASSIGN(const std::string merges_text, read_file(merges.string(), kMaxTokenizerBytes));
    return parse_vocab_and_merges(vocab_text, merges_text, hints, vocab.string());
  }
  return Error{Errc::not_found, "no tokenizer in " + folder.string() +
                                    ": expected tokenizer.json, or vocab.txt, or vocab.json with merges.txt"};
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> Tokenizer::load(const fs::path& folder) {
  FATHOM_ASSIGN(PipelineParts parts, read_parts(folder));
  return std::unique_ptr<Tokenizer>(std::make_unique<Pipeline>(std::move(parts)));
}

}  // namespace fathom::trainer
