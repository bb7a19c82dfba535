// docs/sweeps.md and docs/sweep.schema.json say what the parser does: both are made from its table.
// FATHOM_UPDATE_GOLDEN=1 writes them anew.
#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>

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

TEST(Docs, BenchmarkExampleMakesTheJobsItClaims) {
  const std::string text = read_file(source_dir() / "docs/sweeps.md");
  const std::size_t begin = text.find("```yaml\n", text.find("## Benchmarks")) + 8;
  const Plan plan = planned(text.substr(begin, text.find("```", begin) - begin), {}, 6);
  EXPECT_EQ(counts(plan), (std::vector<std::size_t>{28, 14}));
}

TEST(Docs, TrainedMembersExampleMakesTheJobsItClaims) {
  const std::string text = read_file(source_dir() / "docs/sweeps.md");
  const std::size_t begin = text.find("```yaml\n", text.find("With `members_init: trained`")) + 8;
  EXPECT_EQ(counts(planned(text.substr(begin, text.find("```", begin) - begin), {}, 6)),
            (std::vector<std::size_t>{8, 6}));
}

TEST(Docs, GreedyExampleMakesTheJobsItClaims) {
  const std::string text = read_file(source_dir() / "docs/sweeps.md");
  const std::size_t begin = text.find("```yaml\n", text.find("### Sets chosen by results")) + 8;
  EXPECT_EQ(counts(planned(text.substr(begin, text.find("```", begin) - begin), {}, 6)),
            (std::vector<std::size_t>{8, 20, 4}));
}

TEST(Docs, PopulationExampleMakesTheJobsItClaims) {
  const std::string text = read_file(source_dir() / "docs/sweeps.md");
  const std::size_t begin = text.find("```yaml\n", text.find("### Population based training")) + 8;
  const Plan plan = planned(text.substr(begin, text.find("```", begin) - begin), {}, 6);
  EXPECT_EQ(counts(plan), (std::vector<std::size_t>{16}));
  std::map<std::string, int> populations;
  for (const Job& job : plan.jobs) ++populations[job.group];
  EXPECT_EQ(populations,
            (std::map<std::string, int>{{"adapter/mr/standard//seed1", 8}, {"adapter/mr/standard//seed2", 8}}));
}

// Complete files among the examples of docs/sweeps.md.
std::vector<std::string> example_files() {
  const std::string text = read_file(source_dir() / "docs/sweeps.md");
  std::vector<std::string> out;
  for (std::size_t at = text.find("```yaml\n"); at != std::string::npos; at = text.find("```yaml\n", at)) {
    at += 8;
    const std::string block = text.substr(at, text.find("```", at) - at);
    if (block.rfind("version:", 0) == 0) out.push_back(block);
  }
  return out;
}

using Used = std::set<std::pair<Section, std::string>>;

void use(Used& used, Section section, const Node* node) {
  for (std::size_t i = 0; node && i < node->keys.size(); ++i) used.insert({section, node->keys[i].text});
}

// The keys of `parameters`, `tasks` and `stages` are names.
void use_each(Used& used, Section section, const Node* named) {
  for (std::size_t i = 0; named && i < named->items.size(); ++i) use(used, section, &named->items[i]);
}

void use_file(Used& used, const Node& root) {
  const auto shared = [&](const Node& level) {
    use(used, Section::adapter, level.find("adapter"));
    use(used, Section::train, level.find("train"));
    use(used, Section::search, level.find("search"));
    use_each(used, Section::parameter, level.find("parameters"));
  };
  use(used, Section::root, &root);
  shared(root);
  for (const auto& [key, section] : std::map<std::string, Section>{{"model", Section::model},
                                                                   {"objective", Section::objective},
                                                                   {"resources", Section::resources},
                                                                   {"limits", Section::limits},
                                                                   {"retry", Section::retry},
                                                                   {"cache", Section::cache},
                                                                   {"checkpoint", Section::checkpoint}})
    use(used, section, root.find(key));
  use(used, Section::keep, root.find("checkpoint") ? root.find("checkpoint")->find("keep") : nullptr);
  for (std::size_t i = 0; root.find("notify") && i < root.find("notify")->items.size(); ++i)
    use(used, Section::notify, &root.find("notify")->items[i]);
  use_each(used, Section::task, root.find("tasks"));
  if (!root.find("tasks") || !root.find("stages")) return;  // they are in the file that it includes
  for (const Node& task : root.find("tasks")->items) {
    if (task.find("data")) use(used, Section::data, task.find("data"));
  }
  use_each(used, Section::stage, root.find("stages"));
  for (const Node& stage : root.find("stages")->items) {
    shared(stage);
    use(used, Section::drop, stage.find("drop"));
    use(used, Section::stop, stage.find("stop"));
    use(used, Section::needs, stage.find("needs"));
    use(used, Section::shape, stage.find("shape"));
    const Node* subjects = stage.find("subjects");
    use(used, Section::subjects, subjects);
    for (const auto& [key, section] : std::map<std::string, Section>{{"adapter", Section::subject_adapter},
                                                                     {"fusion", Section::subject_fusion},
                                                                     {"parallel", Section::subject_parallel}})
      use(used, section, subjects ? subjects->find(key) : nullptr);
  }
}

TEST(Docs, EveryExampleMakesJobs) {
  EXPECT_GE(example_files().size(), 3u);
  const ParseOptions beside = options_for(source_dir() / "docs/sweeps.md");
  for (const std::string& file : example_files()) EXPECT_FALSE(planned(file, beside, 6).jobs.empty()) << file;
}

TEST(Docs, IncludeExampleChangesWhatItSays) {
  const auto files = example_files();
  const auto found =
      std::ranges::find_if(files, [](const std::string& file) { return file.find("\ninclude:") != std::string::npos; });
  ASSERT_NE(found, files.end());
  const Plan base = planned_file(source_dir() / "configs/sweeps/quickstart.yaml", 6);
  const Plan plan = planned(*found, options_for(source_dir() / "docs/sweeps.md"), 6);
  ASSERT_FALSE(base.jobs.empty());
  EXPECT_EQ(plan.name, "quickstart-long");
  EXPECT_EQ(counts(plan).front(), 2 * counts(base).front());
  const auto train = plan.jobs.front().settings.whole().at("train");
  EXPECT_EQ(train.at("epochs"), 4);
  EXPECT_EQ(train.at("batch"), base.jobs.front().settings.whole().at("train").at("batch"));
}

TEST(Docs, EveryKeyHasAnExample) {
  Used used;
  for (const std::string& file : example_files()) {
    Report report;
    const auto node = read_yaml("example", file, report);
    ASSERT_TRUE(node);
    use_file(used, *node);
  }
  for (int i = 0; i <= static_cast<int>(Section::cache); ++i) {
    const auto section = static_cast<Section>(i);
    for (const Key& key : keys_of(section)) {
      EXPECT_TRUE(!key.available || used.contains({section, key.name}))
          << info_of(section).title << "." << key.name << " has no example in docs/sweeps.md";
    }
  }
}

TEST(Schema, EveryDefaultIsAValidValueOfItsKey) {
  for (int i = 0; i <= static_cast<int>(Section::cache); ++i) {
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
