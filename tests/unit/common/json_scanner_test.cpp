#include "common/json_scanner.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace fathom {
namespace {

using Token = JsonScanner::Token;

bool is_json(std::string_view text) {
  JsonScanner scan(text);
  Token token = scan.next();
  while (token != Token::end && token != Token::bad) token = scan.next();
  EXPECT_EQ(scan.next(), token) << "an end is for ever";
  return token == Token::end;
}

// The parser is the judge.
void same_verdict(const std::string& text) { EXPECT_EQ(is_json(text), nlohmann::json::accept(text)) << text; }

TEST(JsonScanner, GivesTokensWithTheirPlaces) {
  const std::string text = R"( { "a" : [ 1 , "b\n" , null ] , "\u0063": {} } )";
  struct Expected {
    Token token;
    std::string text;
    std::size_t depth;
  };
  const std::vector<Expected> expected = {
      {Token::begin_object, "{", 1}, {Token::key, "\"a\"", 1},       {Token::begin_array, "[", 2},
      {Token::number, "1", 2},       {Token::string, "\"b\\n\"", 2}, {Token::literal, "null", 2},
      {Token::end_array, "]", 1},    {Token::key, "\"\\u0063\"", 1}, {Token::begin_object, "{", 2},
      {Token::end_object, "}", 1},   {Token::end_object, "}", 0},    {Token::end, "", 0},
  };
  JsonScanner scan(text);
  for (const Expected& one : expected) {
    ASSERT_EQ(scan.next(), one.token) << one.text;
    EXPECT_EQ(scan.text(), one.text);
    EXPECT_EQ(scan.depth(), one.depth) << one.text;
    if (one.token == Token::key) {
      EXPECT_EQ(scan.is("a"), one.text == "\"a\"");
      EXPECT_EQ(scan.is("c"), one.text != "\"a\"") << "however it is written";
    }
  }
}

TEST(JsonScanner, NumbersAreTheParsers) {
  for (const char* text : {"0", "-0", "12", "-7", "0.5", "1e3", "1E-3", "-2.25e+2", "1e308", "1e-400", "4.9e-324",
                           "18446744073709551616", "0.1234567890123456789"}) {
    JsonScanner scan(text);
    ASSERT_EQ(scan.next(), Token::number) << text;
    EXPECT_EQ(scan.number(), nlohmann::json::parse(text).get<double>()) << text;
  }
}

TEST(JsonScanner, TakesWhatTheParserTakes) {
  for (const char* text : {"",
                           " ",
                           "{",
                           "}",
                           "[",
                           "]",
                           "[]",
                           "{}",
                           "[1,]",
                           "[,1]",
                           "[1 2]",
                           "{\"a\"}",
                           "{\"a\":}",
                           "{\"a\":1,}",
                           "{,}",
                           "{\"a\"::1}",
                           "{\"a\" 1}",
                           "{1:2}",
                           "[:1]",
                           ":1",
                           "[1]]",
                           "{}{}",
                           "[}",
                           "{]",
                           "nul",
                           "nulll",
                           "true",
                           "tru",
                           "01",
                           "-",
                           "-a",
                           "1.",
                           ".5",
                           "1e",
                           "1e+",
                           "1e999",
                           "-1e999",
                           "+1",
                           "0x1",
                           "NaN",
                           "Infinity",
                           "\"",
                           "\"\\\"",
                           "\"\\x\"",
                           "\"\\u12\"",
                           "\"\\u12g4\"",
                           "\"\\ud800\"",
                           "\"\\udc00\"",
                           "\"\\ud800\\u0041\"",
                           "\"\\ud83d\\ude00\"",
                           "\"\t\"",
                           "\"\x7f\"",
                           "\"\xc3\xa9\"",
                           "\"\xc3\"",
                           "\"\xed\xa0\x80\"",
                           "\"\xff\"",
                           "\xEF\xBB\xBF{}",
                           "{\"a\":1,\"a\":2}",
                           "[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]",
                           "[1,[2,{\"x\":[]}],\"y\"]",
                           "// no\n1"})
    same_verdict(text);
  same_verdict(std::string(400, '9'));
  same_verdict(std::string(200, '9'));
}

TEST(JsonScanner, EveryCutAndEveryChangedByteIsJudgedAlike) {
  const std::string text =
      R"({"objective":0.5,"rows":[{"d":-1,"n":"a\u00e9"},[]],"labels":["neg",true],"e":1.5e-3,"x":null})";
  for (std::size_t size = 0; size <= text.size(); ++size) same_verdict(text.substr(0, size));
  for (std::size_t at = 0; at < text.size(); ++at) {
    for (const char byte : {'"', '{', '}', '[', ']', ',', ':', '0', '-', 'e', '\\', ' ', 'u', '\x80', '\x01'}) {
      std::string changed = text;
      changed[at] = byte;
      same_verdict(changed);
    }
  }
}

}  // namespace
}  // namespace fathom
