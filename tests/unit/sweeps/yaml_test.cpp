// The tree behind a sweep file: places, limits, and that what is written reads back.
#include "sweeps/file/node.hpp"

#include <gmock/gmock.h>

#include "sweeps/file/merge.hpp"

namespace fathom::sweeps {
namespace {

using ::testing::HasSubstr;

// The tree, or one line "line:column message" of the only error.
std::optional<Node> read(const std::string& text, std::string* error = nullptr) {
  Report report;
  auto node = read_yaml("t.yaml", text, report);
  const auto errors = report.take();
  EXPECT_EQ(node.has_value(), errors.empty());
  if (error && !errors.empty())
    *error = std::to_string(errors[0].line) + ":" + std::to_string(errors[0].column) + " " + errors[0].message;
  return node;
}

std::string error_of(const std::string& text) {
  std::string error;
  EXPECT_FALSE(read(text, &error).has_value());
  return error;
}

bool same(const Node& a, const Node& b) {
  if (a.type != b.type || a.items.size() != b.items.size() || a.keys.size() != b.keys.size()) return false;
  if (a.is_scalar() && a.text != b.text) return false;
  for (std::size_t i = 0; i < a.keys.size(); ++i) {
    if (a.keys[i].text != b.keys[i].text) return false;
  }
  for (std::size_t i = 0; i < a.items.size(); ++i) {
    if (!same(a.items[i], b.items[i])) return false;
  }
  return true;
}

TEST(Yaml, MarksCountCharactersFromOne) {
  const auto node = read("a: 1\nb:\n  - x\n  - {é: ü, cc: 3}\n");
  ASSERT_TRUE(node);
  const Node& map = node->items[1].items[1];
  EXPECT_EQ(map.mark.line, 4u);
  EXPECT_EQ(map.mark.column, 5u);
  EXPECT_EQ(map.items[0].mark.column, 9u);
  EXPECT_EQ(map.keys[1].mark.column, 12u);
  EXPECT_EQ(map.keys[1].mark.length, 2u);
}

TEST(Yaml, ByteOrderMarkAndWindowsLineEndsAreFine) {
  const auto node = read(
      "\xEF\xBB\xBF"
      "a: 1\r\nb: two\r\n");
  ASSERT_TRUE(node);
  EXPECT_EQ(node->items[1].text, "two");
  EXPECT_EQ(node->keys[1].mark.line, 2u);
}

TEST(Yaml, QuotedScalarsAreText) {
  const auto node = read("{a: '1', b: \"2\", c: 3, d: !!str 4}");
  ASSERT_TRUE(node);
  EXPECT_TRUE(node->items[0].quoted && node->items[1].quoted && node->items[3].quoted);
  EXPECT_FALSE(node->items[2].quoted);
}

TEST(Yaml, NullKeepsHowItWasWritten) {
  const auto node = read("a: null\nb: ~\nc:\nnullable: 1\n");
  ASSERT_TRUE(node);
  EXPECT_EQ(node->items[0].text, "null");
  EXPECT_EQ(node->items[1].text, "~");
  EXPECT_EQ(node->items[2].text, "");
  EXPECT_EQ(node->items[2].type, Node::Type::null);
}

TEST(Yaml, LimitsOnSizeDepthAndKeys) {
  EXPECT_THAT(error_of("a: " + std::string(kMaxBytes, 'x')), HasSubstr("at most 1 MiB"));
  EXPECT_THAT(error_of(std::string(2000, '[')), HasSubstr("nested deeper than 32"));
  EXPECT_THAT(error_of(std::string(100'000, '{')), HasSubstr("nested deeper than 32"));
  std::string keys;
  for (int i = 0; i < 5000; ++i) keys += "k" + std::to_string(i) + ": 1\n";
  EXPECT_THAT(error_of(keys), HasSubstr("more than 4096 keys"));
  std::string items = "a: [";
  for (int i = 0; i < 200'001; ++i) items += "1,";
  EXPECT_THAT(error_of(items + "1]"), HasSubstr("more than 200000 values"));
}

TEST(Yaml, SaysWhatIsWrong) {
  EXPECT_EQ(error_of("a: 1\n\tb: 2\n"), "2:1 a tab in the indentation; YAML takes spaces only");
  EXPECT_THAT(error_of(std::string("a: \x01\n")), HasSubstr("1:4 a control character"));
  EXPECT_THAT(error_of("a: 1\na: 2\n"), HasSubstr("2:1 key 'a' stands twice, first on line 1"));
  EXPECT_THAT(error_of("? [a]\n: 1\n"), HasSubstr("a key must be a word, found a list"));
  EXPECT_THAT(error_of("a: *b\n"), HasSubstr("not valid YAML"));
  EXPECT_THAT(error_of("caf\xe9: 1\n"), HasSubstr("not UTF-8"));
}

TEST(Yaml, TabsElsewhereAreFine) {
  const auto node = read("a:\t1  # a\tcomment\n\t\nb: 2\n");
  ASSERT_TRUE(node);
  EXPECT_EQ(node->items[0].text, "1");
}

TEST(Yaml, WrittenTreesReadBackEqual) {
  for (const char* text :
       {"a: 1", "{a: [1, '2', {b: ~}], 'c d': \"x\\ny\\t\\\"\", e: {}, f: []}", "a: {b: {c: {d: {e: 1}}}}",
        "- a\n- [b, -c]", "x: \"- y\"\ny: '#z'\nz: '{'\nw: 0..5\nv: äö", "lonely"}) {
    const auto node = read(text);
    ASSERT_TRUE(node) << text;
    const auto again = read(write_yaml(*node));
    ASSERT_TRUE(again) << write_yaml(*node);
    EXPECT_TRUE(same(*node, *again)) << write_yaml(*node);
  }
}

TEST(Merge, MapsMergeAndTheRestIsReplaced) {
  auto base = read("a: {x: 1, y: [1, 2]}\nb: 1\n");
  const auto over = read("a: {y: [3], z: 4}\nb: {c: 2}\n");
  ASSERT_TRUE(base && over);
  merge(*base, *over);
  EXPECT_EQ(write_yaml(*base), "a:\n  x: 1\n  y: [3]\n  z: 4\nb:\n  c: 2\n");
}

TEST(Render, CaretsStandUnderTheMistake) {
  EXPECT_EQ(render({"f.yaml", 3, 5, 2, "wrong", "ab: xy"}), "f.yaml:3:5: error: wrong\n  ab: xy\n      ^^");
  EXPECT_EQ(render({"f.yaml", 1, 3, 9, "wrong", "ä\tbc"}), "f.yaml:1:3: error: wrong\n  ä bc\n    ^^");
  EXPECT_EQ(render({"f.yaml", 1, 1, 1, "empty", ""}), "f.yaml:1:1: error: empty");
}

}  // namespace
}  // namespace fathom::sweeps
