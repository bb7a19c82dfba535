// Jobs, order and ids of every tests/golden/sweeps/*.yaml and of the ready-made sweeps, as the .json of that name there
// says. A changed id means that results of earlier versions are no longer found: bump kExpanderVersion and say so.
// FATHOM_UPDATE_GOLDEN=1 writes the .json files anew.
#include <algorithm>
#include <cstdlib>

#include "common/sha256.hpp"
#include "tests/unit/sweeps/support.hpp"

namespace fathom::sweeps::testing {
namespace {

using nlohmann::json;

std::vector<std::filesystem::path> golden_files() {
  std::vector<std::filesystem::path> files;
  for (const char* folder : {"tests/golden/sweeps", "configs/sweeps"}) {
    for (const auto& entry : std::filesystem::directory_iterator(source_dir() / folder)) {
      const auto& path = entry.path();
      // glue8.yaml is a part of other files.
      if (path.extension() == ".yaml" && path.stem() != "glue8") files.push_back(path);
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

// One line a job: everything that tells it from others, for people and for the digest.
std::string line_of(const Job& job) {
  std::string out = job.id.text() + " " + job.task + " " + job.drop + " set=" + job.set +
                    " keep=" + std::to_string(job.keep) + " seed=" + std::to_string(job.seed) +
                    " epochs=" + std::to_string(job.epochs) + " needs=" + std::to_string(job.needs.size());
  for (const auto& [name, value] : job.parameters) out += " " + name + "=" + value.dump();
  return out;
}

json summary_of(const Plan& plan) {
  json out = {{"jobs", plan.jobs.size()}, {"notes", plan.notes}, {"stages", json::array()}};
  for (const Stage& stage : plan.stages) {
    std::string all;
    json shown = json::array();
    for (JobIndex i = stage.first; i < stage.first + stage.count; ++i) {
      const std::string line = line_of(plan.jobs[i]);
      all += line + "\n";
      if (i < stage.first + 6 || i + 1 == stage.first + stage.count) shown.push_back(line);
    }
    out["stages"].push_back(
        {{"name", stage.name}, {"jobs", stage.count}, {"first_and_last", shown}, {"sha256", sha256_hex(all)}});
  }
  return out;
}

class GoldenSweep : public ::testing::TestWithParam<std::filesystem::path> {};

TEST_P(GoldenSweep, MakesTheSameJobs) {
  const auto expected = source_dir() / "tests/golden/sweeps" / (GetParam().stem().string() + ".json");
  const json summary = summary_of(planned_file(GetParam()));
  if (std::getenv("FATHOM_UPDATE_GOLDEN") != nullptr)
    std::ofstream(expected, std::ios::binary) << summary.dump(1) << "\n";
  EXPECT_EQ(summary, json::parse(read_file(expected)));
}

// The coordinator keeps the resolved sweep as text and expands it again on replay.
TEST_P(GoldenSweep, SurvivesTheStore) {
  const Sweep sweep = parsed(read_file(GetParam()), options_for(GetParam()));
  const auto first = expand(sweep);
  const auto again = expand(Sweep{json::parse(sweep.resolved.dump())});
  ASSERT_TRUE(first.ok() && again.ok());
  EXPECT_EQ(summary_of(*first), summary_of(*again));
}

// What a submit is numbered by is what every start makes again.
TEST_P(GoldenSweep, TheCheckMakesThePlan) {
  ParseOptions options = options_for(GetParam());
  options.with_plan = true;
  const ParseResult result = parse(read_file(GetParam()), options);
  ASSERT_TRUE(result.plan.has_value()) << rendered(result);
  const auto again = expand(result.sweep);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(summary_of(*result.plan), summary_of(*again));
  EXPECT_EQ(result.plan->notes, again->notes);
}

// What the CLI sends instead of a file that includes others gives the same jobs.
TEST_P(GoldenSweep, MergedTextMakesTheSameJobs) {
  const MergeResult merged = merge_includes(read_file(GetParam()), options_for(GetParam()));
  ASSERT_TRUE(merged.errors.empty());
  EXPECT_EQ(merged.yaml.find("include:"), std::string::npos);
  EXPECT_EQ(summary_of(planned(merged.yaml)), summary_of(planned_file(GetParam())));
}

std::string test_name(const ::testing::TestParamInfo<std::filesystem::path>& info) {
  std::string name = info.param.stem().string();
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Files, GoldenSweep, ::testing::ValuesIn(golden_files()), test_name);

}  // namespace
}  // namespace fathom::sweeps::testing
