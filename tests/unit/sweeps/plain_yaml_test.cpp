// The reader of plain files makes the tree that yaml-cpp makes, marks included, or leaves the file to it.
#include "sweeps/file/plain_yaml.hpp"

#include <filesystem>
#include <random>

#include "tests/unit/sweeps/random_files.hpp"
#include "tests/unit/sweeps/support.hpp"

namespace fathom::sweeps::testing {
namespace {

// Everything of a tree.
void write(const Node& node, std::string& out) {
  out += std::to_string(static_cast<int>(node.type)) + (node.quoted ? "q" : "") + "'" + node.text + "'" +
         std::to_string(node.mark.line) + ":" + std::to_string(node.mark.column) + "+" +
         std::to_string(node.mark.length) + "(";
  for (const Node& key : node.keys) write(key, out);
  out += "|";
  for (const Node& item : node.items) write(item, out);
  out += ")";
}

std::string text_of(const std::optional<Node>& node) {
  std::string out;
  if (node) write(*node, out);
  return out;
}

// True: the plain reader took it, and what it made is right.
bool agree(const std::string& text) {
  const auto plain = read_plain_yaml(0, text);
  if (!plain) return false;
  Report report;
  report.add_source("t.yaml", text);
  EXPECT_EQ(text_of(plain), text_of(read_any_yaml(0, text, report))) << text;
  EXPECT_TRUE(report.clean()) << text;
  return true;
}

// As read_yaml() refuses before either reader sees it.
bool has_bad_tab(const std::string& text) {
  for (std::size_t start = 0; start < text.size();) {
    const std::size_t first = text.find_first_not_of(' ', start);
    if (first < text.size() && text[first] == '\t') return true;
    start = std::min(text.find('\n', start), text.size()) + 1;
  }
  return false;
}

TEST(PlainYaml, ReadsSmallFilesWithoutYamlCpp) {
  for (const char* text :
       {"a: 1\n", "a: 1", "# c\n\na: b c  # d\nb: {}\n", "a:\n  b: [1, {c: d}, \"e f\", '']\n  g: -1\nh: ./x\n",
        "a:\n  - b\n  - [c]\n  - 'd: e'\nf: {g: {h: [ ]}, i: 1e-4}\n", "a: # c\n    b: 1..3\n    c: \"\"\n"})
    EXPECT_TRUE(agree(text)) << text;
}

TEST(PlainYaml, LeavesEverythingElseToYamlCpp) {
  for (const char* text : {"",
                           "# c\n",
                           "a",
                           "a:\n",
                           "a: ~\n",
                           "a: null\n",
                           "- a\n",
                           "--- {}\n",
                           "a: &x 1\n",
                           "a: *x\n",
                           "a: !t 1\n",
                           "a: |\n  b\n",
                           "a: b\n  c\n",
                           "a: {b: 1,\n  c: 2}\n",
                           "a: [1, ]\n",
                           "a: {b}\n",
                           "a: {b:1}\n",
                           "a: b: c\n",
                           "a: 1\na: 2\n",
                           "a: {b: 1, b: 2}\n",
                           "a: 'it''s'\n",
                           "a: \"b\\n\"\n",
                           "a: 1\n...\n",
                           "a: 1\n---\nb: 2\n",
                           "a:\n- b\n",
                           "a:\n  - b: c\n",
                           "a:\n    b: 1\n  c: 2\n",
                           "a: 1\r\n",
                           "a: \xC3\xA9\n",
                           "? a\n: b\n",
                           "%A\na: 1\n",
                           "a: b#c: d\n",
                           "a: -\n",
                           "a: {b: 1}}\n",
                           "a: [1\n",
                           " a: 1\n",
                           "\"a\": 1\n",
                           "a: 1\t\n",
                           "a: {b: c d}\n"})
    EXPECT_FALSE(read_plain_yaml(0, text)) << text;
}

TEST(PlainYaml, KeepsTheLimitOfDepth) {
  const auto nested = [](std::size_t depth) {
    return "a: " + std::string(depth - 1, '[') + std::string(depth - 1, ']') + "\n";
  };
  EXPECT_TRUE(agree(nested(kMaxDepth)));
  EXPECT_FALSE(read_plain_yaml(0, nested(kMaxDepth + 1)));
}

TEST(PlainYaml, AgreesOnFilesOfThisRepository) {
  int taken = 0, all = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(source_dir() / "configs" / "sweeps")) {
    if (entry.path().extension() != ".yaml") continue;
    ++all;
    taken += agree(read_file(entry.path())) ? 1 : 0;
  }
  EXPECT_GT(2 * taken, all);
}

// Files of every feature with a few characters changed: near the border of what it takes.
TEST(PlainYaml, AgreesOnFilesWithTypingMistakes) {
  static constexpr std::string_view kCharacters = " \n:#-,{}[]'\"a1.?&*!|>%@`~\t/+_=";
  std::mt19937_64 random(7);
  int taken = 0;
  for (std::uint64_t number = 0; number < 20'000; ++number) {
    std::string text = RandomFile(number % 500).text();
    text.resize(text.rfind('\n', 40 + random() % 400) + 1);
    for (std::uint64_t changes = random() % 4; changes > 0; --changes) {
      const std::size_t at = random() % text.size();
      const char fresh = kCharacters[random() % kCharacters.size()];
      switch (random() % 3) {
        case 0:
          text[at] = fresh;
          break;
        case 1:
          text.insert(at, 1 + random() % 2, fresh);
          break;
        default:
          text.erase(at, 1);
      }
    }
    if (!has_bad_tab(text)) taken += agree(text) ? 1 : 0;
    if (HasFailure()) return;
  }
  EXPECT_GT(taken, 3000);
}

}  // namespace
}  // namespace fathom::sweeps::testing
