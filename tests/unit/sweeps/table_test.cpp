// A file for each way of saying how many jobs there are: tests/golden/sweeps/table/*.yaml. The first line of a file
// states the counts by stage, worked out by hand from the rules; the ids of every job are in ids.json beside them
// (FATHOM_UPDATE_GOLDEN=1 writes those anew).
#include <algorithm>
#include <cstdlib>

#include "common/sha256.hpp"
#include "tests/unit/sweeps/support.hpp"

namespace fathom::sweeps::testing {
namespace {

using nlohmann::json;

std::filesystem::path folder() { return source_dir() / "tests/golden/sweeps/table"; }

std::vector<std::string> names() {
  std::vector<std::string> out;
  for (const auto& entry : std::filesystem::directory_iterator(folder())) {
    if (entry.path().extension() == ".yaml") out.push_back(entry.path().stem().string());
  }
  std::sort(out.begin(), out.end());
  return out;
}

json ids_of(const Plan& plan) {
  json out = json::array();
  for (const Job& job : plan.jobs) out.push_back(job.id);
  return out;
}

TEST(Table, HasThirtyFiles) { EXPECT_GE(names().size(), 30u); }

TEST(Table, CountsAreThoseThatWereWorkedOut) {
  for (const std::string& name : names()) {
    const std::string text = read_file(folder() / (name + ".yaml"));
    const std::string claim = text.substr(0, text.find('\n'));
    std::string have = "# jobs by stage:";
    for (const std::size_t count : counts(planned(text, {}, 12))) have += " " + std::to_string(count);
    EXPECT_EQ(have, claim) << name;
  }
}

TEST(Table, IdsAreThoseOfEveryVersionSoFar) {
  json have = json::object();
  for (const std::string& name : names()) have[name] = ids_of(planned_file(folder() / (name + ".yaml")));
  const auto file = folder() / "ids.json";
  if (std::getenv("FATHOM_UPDATE_GOLDEN") != nullptr) std::ofstream(file, std::ios::binary) << have.dump(0) << "\n";
  const json expected = json::parse(read_file(file));
  for (const std::string& name : names()) EXPECT_EQ(have[name], expected.value(name, json())) << name;
}

// Two processes, or two machines, see the same: nothing depends on addresses, hashes of pointers or the time.
TEST(Table, ASecondPassGivesTheSameIds) {
  for (const std::string& name : names()) {
    EXPECT_EQ(ids_of(planned_file(folder() / (name + ".yaml"))), ids_of(planned_file(folder() / (name + ".yaml"))));
  }
}

}  // namespace
}  // namespace fathom::sweeps::testing
