// Folders and expected ids that another program wrote: every line must come out id for id. Run by
// tests/e2e/interop_tokenizer_test.py, where the `tokenizers` package makes them.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "trainer/tokenizer/tokenizer.hpp"

namespace fathom::trainer {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// One file of lines {text, pair, max_length, ids, type_ids} for the tokenizer of a folder.
void compare(const fs::path& folder, const fs::path& cases) {
  SCOPED_TRACE(folder.string());
  auto tokenizer = Tokenizer::load(folder);
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  std::ifstream in(cases);
  int lines = 0, failed = 0;
  for (std::string line; std::getline(in, line); ++lines) {
    const json want = json::parse(line);
    const std::string text = want["text"];
    std::optional<std::string> pair;
    if (want.contains("pair")) pair = want["pair"].get<std::string>();
    const Encoding got = (*tokenizer)->encode(text, pair, want.value("max_length", std::size_t{1'000'000}));
    if (json(got.ids) == want["ids"] && json(got.type_ids) == want["type_ids"]) continue;
    if (++failed <= 5)
      ADD_FAILURE() << cases << ":" << lines + 1 << " " << line.substr(0, 400) << "\n got " << json(got.ids);
  }
  EXPECT_EQ(failed, 0);
  EXPECT_GT(lines, 0) << cases;
  std::printf("%s: %d lines\n", folder.filename().c_str(), lines);
}

TEST(Interop, LinesOfAnotherProgram) {
  const char* list = std::getenv("FATHOM_TOKENIZER_CASES");
  if (list == nullptr)
    GTEST_SKIP() << "FATHOM_TOKENIZER_CASES is not set; tests/e2e/interop_tokenizer_test.py runs this";
  for (const auto& entry : json::parse(std::ifstream(list))) {
    compare(entry["folder"].get<std::string>(), entry["cases"].get<std::string>());
  }
}

}  // namespace
}  // namespace fathom::trainer
