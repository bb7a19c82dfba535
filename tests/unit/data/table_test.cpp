// CSV, TSV and JSONL as people write them, and as they break them.
#include "data/table.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fathom::data {
namespace {

using Rows = std::vector<std::vector<std::string>>;
using testing::HasSubstr;

struct Read {
  Rows rows;
  std::vector<std::uint64_t> lines;
  std::vector<std::string> columns;
  std::uint64_t replaced = 0;
  std::string error;
};

Read read(const std::string& text, Format format, bool header = false, const std::string& encoding = "utf-8",
          const TableLimits& limits = {}) {
  Read out;
  auto table = Table::read(text, TableOptions{format, header, encoding}, "file", limits);
  if (!table) {
    out.error = table.error().message;
    return out;
  }
  out.columns = table->columns();
  out.replaced = table->replaced();
  Row row;
  while (true) {
    const auto more = table->next(row);
    if (!more) out.error = more.error().message;
    if (!more || !*more) return out;
    out.rows.push_back(row.fields);
    out.lines.push_back(row.line);
  }
}

TEST(Csv, QuotesCommasLineBreaksAndDoubledQuotes) {
  const Read got = read("a,\"b,c\",\"d\"\"e\"\r\n\"line\nbreak\",,x\n1,2,3", Format::csv);
  EXPECT_EQ(got.error, "");
  EXPECT_EQ(got.rows, (Rows{{"a", "b,c", "d\"e"}, {"line\nbreak", "", "x"}, {"1", "2", "3"}}));
  EXPECT_EQ(got.lines, (std::vector<std::uint64_t>{1, 2, 4}));
}

TEST(Csv, HeaderBomBlankLinesAndAQuoteInsideAField) {
  const Read got = read("\xEF\xBB\xBFtext,label\r\n5\" disk,1\r\n\r\nplain,0\r\n", Format::csv, true);
  EXPECT_EQ(got.error, "");
  EXPECT_EQ(got.columns, (std::vector<std::string>{"text", "label"}));
  EXPECT_EQ(got.rows, (Rows{{"5\" disk", "1"}, {"plain", "0"}}));
}

TEST(Csv, TrailingCommaIsAnEmptyField) {
  EXPECT_EQ(read("a,", Format::csv).rows, (Rows{{"a", ""}}));
  EXPECT_EQ(read("a,\nb,c", Format::csv).rows, (Rows{{"a", ""}, {"b", "c"}}));
}

TEST(Csv, MistakesNameTheLine) {
  EXPECT_THAT(read("a,b\n\"never closed,\n\n", Format::csv).error, HasSubstr("file:2: a quote that is opened here"));
  EXPECT_THAT(read("a,b\n\"x\"y,z\n", Format::csv).error, HasSubstr("file:2: 'y' after a closing quote"));
  EXPECT_THAT(read("a,b\n1,2,3\n", Format::csv).error, HasSubstr("file:2: 3 columns; expected 2 as in line 1"));
  EXPECT_THAT(read("", Format::csv).error, HasSubstr("the file is empty"));
}

TEST(Csv, LimitsHold) {
  TableLimits limits;
  limits.field = 4;
  limits.columns = 2;
  EXPECT_THAT(read("abcde", Format::csv, false, "utf-8", limits).error, HasSubstr("more than 4 bytes"));
  EXPECT_THAT(read("\"abcde\"", Format::csv, false, "utf-8", limits).error, HasSubstr("more than 4 bytes"));
  EXPECT_THAT(read("a,b,c", Format::csv, false, "utf-8", limits).error, HasSubstr("more than 2 columns"));
  EXPECT_THAT(read("a\tb\tc", Format::tsv, false, "utf-8", limits).error, HasSubstr("more than 2 columns"));
}

TEST(Tsv, KnowsNoQuotes) {
  const Read got = read("index\ttext\n0\t\"quoted\" and \"open\n1\tx\x0By\n", Format::tsv, true);
  EXPECT_EQ(got.error, "");
  EXPECT_EQ(got.rows, (Rows{{"0", "\"quoted\" and \"open"}, {"1", "x\x0By"}}));
}

TEST(Tsv, CarriageReturnsGoOnlyWhereTheFirstLineHasOne) {
  EXPECT_EQ(read("a\tb\r\nc\td\r\n", Format::tsv).rows, (Rows{{"a", "b"}, {"c", "d"}}));
  EXPECT_EQ(read("a\tb\nc\td\r\n", Format::tsv).rows, (Rows{{"a", "b"}, {"c", "d\r"}}));
}

TEST(Jsonl, KeysOfTheFirstLineAreTheColumns) {
  const Read got =
      read("{\"text\": \"a\\nb\", \"label\": 1}\n\n{\"label\": true, \"text\": null, \"more\": 2}\n", Format::jsonl);
  EXPECT_EQ(got.error, "");
  EXPECT_EQ(got.columns, (std::vector<std::string>{"text", "label"}));
  EXPECT_EQ(got.rows, (Rows{{"a\nb", "1"}, {"", "true"}}));
  EXPECT_THAT(read("{\"a\": 1}\n{\"b\": 1}\n", Format::jsonl).error, HasSubstr("file:2: the key \"a\""));
  EXPECT_THAT(read("{\"a\": 1}\n[1]\n", Format::jsonl).error, HasSubstr("file:2: not a JSON object"));
}

TEST(Encoding, InvalidBytesAreReplacedAndCounted) {
  const Read got = read("caf\xE9,x\nok\xFF\xFE,y\n", Format::csv);
  EXPECT_EQ(got.rows, (Rows{{"caf\xEF\xBF\xBD", "x"}, {"ok\xEF\xBF\xBD\xEF\xBF\xBD", "y"}}));
  EXPECT_EQ(got.replaced, 3U);
}

TEST(Encoding, OtherEncodingsByName) {
  EXPECT_EQ(read("caf\xE9", Format::csv, false, "latin1").rows, (Rows{{"café"}}));
  EXPECT_EQ(read("\x80", Format::csv, false, "windows-1252").rows, (Rows{{"€"}}));
  EXPECT_EQ(read(std::string("\xFF\xFE"
                             "a\0b\0",
                             6),
                 Format::csv, false, "utf-16")
                .rows,
            (Rows{{"ab"}}));
  EXPECT_THAT(read("a", Format::csv, false, "klingon").error, HasSubstr("is not known"));
  EXPECT_THAT(read(std::string("\xFF\xFE"
                               "a\0",
                               4),
                   Format::csv)
                  .error,
              HasSubstr("say encoding: utf-16"));
}

TEST(Table, AMissingColumnListsThoseThereAre) {
  auto table = Table::read("text,label\na,b\n", TableOptions{Format::csv, true, "utf-8"}, "file");
  ASSERT_TRUE(table);
  EXPECT_EQ(*table->find({"label", 0}), 1U);
  EXPECT_EQ(*table->find({"", 1}), 0U);
  EXPECT_EQ(table->find({"labels", 0}).error().message,
            "file: there is no column \"labels\"; the columns are text, label");
  EXPECT_FALSE(table->find({"", 3}));
}

TEST(Table, FormatsByFileEnding) {
  EXPECT_EQ(*format_of("a/b.csv"), Format::csv);
  EXPECT_EQ(*format_of("b.txt"), Format::tsv);
  EXPECT_EQ(*format_of("b.jsonl"), Format::jsonl);
  EXPECT_THAT(format_of("b.xls").error().message, HasSubstr("csv, tsv or jsonl"));
}

}  // namespace
}  // namespace fathom::data
