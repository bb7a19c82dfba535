// docs/sweeps.md and docs/sweep.schema.json say what the parser does: both are made from its table.
// FATHOM_UPDATE_GOLDEN=1 writes them anew.
#include <cstdlib>

#include "sweeps/schema/fields.hpp"
#include "tests/unit/sweeps/support.hpp"

namespace fathom::sweeps::testing {
namespace {

using nlohmann::json;

bool updating() { return std::getenv("FATHOM_UPDATE_GOLDEN") != nullptr; }

TEST(Docs, KeyTablesAreThoseOfTheSchema) {
  const auto file = source_dir() / "docs/sweeps.md";
  std::string text = read_file(file);
  const std::size_t begin = text.find('\n', text.find("<!-- keys: begin")) + 1;
  const std::size_t end = text.find("<!-- keys: end -->");
  ASSERT_NE(end, std::string::npos);
  ASSERT_LE(begin, end);
  if (updating()) {
    text.replace(begin, end - begin, key_tables());
    std::ofstream(file, std::ios::binary) << text;
  } else {
    EXPECT_EQ(text.substr(begin, end - begin), key_tables());
  }
}

TEST(Docs, JsonSchemaIsThatOfTheSchema) {
  const auto file = source_dir() / "docs/sweep.schema.json";
  if (updating()) std::ofstream(file, std::ios::binary) << json_schema().dump(1) << "\n";
  EXPECT_EQ(json::parse(read_file(file)), json_schema());
}

TEST(Docs, ExampleMakesTheJobsItClaims) {
  const std::string text = read_file(source_dir() / "docs/sweeps.md");
  const std::size_t begin = text.find("```yaml\n") + 8;
  const Plan plan = planned(text.substr(begin, text.find("```", begin) - begin), {}, 12);
  EXPECT_EQ(counts(plan), (std::vector<std::size_t>{288, 6, 9, 303}));
}

TEST(Schema, EveryDefaultIsAValidValueOfItsKey) {
  for (int i = 0; i <= static_cast<int>(Section::keep); ++i) {
    for (const Key& key : keys_of(static_cast<Section>(i))) {
      EXPECT_NE(std::string_view(key.doc), "") << key.name;
      if (!*key.fallback || std::string_view(key.fallback) == "null" || key.type == Type::special) continue;
      const json value = json::parse(key.fallback);
      Report report;
      const auto node = read_yaml("default", value.is_string() ? value.get<std::string>() : value.dump(), report);
      ASSERT_TRUE(node) << key.name;
      const auto typed_value = typed(key, *node, report);
      ASSERT_TRUE(typed_value) << key.name;
      EXPECT_EQ(*typed_value, value.is_number() ? number_json(value.get<double>()) : value) << key.name;
    }
  }
}

TEST(Schema, NoKeyOfTrainIsAKeyOfAdapter) {
  // Bare parameter names are unambiguous only as long as this holds (rule 4).
  for (const Key& key : keys_of(Section::train)) EXPECT_EQ(find_key(Section::adapter, key.name), nullptr) << key.name;
}

}  // namespace
}  // namespace fathom::sweeps::testing
