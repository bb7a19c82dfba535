// Ten thousand made-up files: each is valid, and every id is the same in another process.
#include "tests/unit/sweeps/random_files.hpp"

#include <array>
#include <cstdio>
#include <cstdlib>

#include "common/sha256.hpp"
#include "tests/unit/sweeps/support.hpp"

namespace fathom::sweeps::testing {
namespace {

constexpr const char* kVariable = "FATHOM_RANDOM_FILES";  // set in the other process
constexpr std::uint64_t kFiles = 10'000;

// Over the ids of all jobs of all files, in order.
std::string digest_of_all(std::size_t& jobs) {
  std::string all;
  for (std::uint64_t number = 0; number < kFiles; ++number) {
    const std::string text = RandomFile(number).text();
    const ParseResult parsed = parse(text, {});
    if (!parsed.errors.empty()) {
      ADD_FAILURE() << "file " << number << ":\n" << text << render(parsed.errors.front());
      return "";
    }
    const auto plan = expand(parsed.sweep, 12);
    if (!plan) {
      ADD_FAILURE() << "file " << number << ":\n" << text << plan.error().message;
      return "";
    }
    for (const Job& job : plan->jobs) all += job.id.text() + "\n";
    jobs += plan->jobs.size();
    all = sha256_hex(all);
  }
  return all;
}

// Begins at once, beside this one.
FILE* another_process() {
  const std::string self = std::filesystem::read_symlink("/proc/self/exe").string();
  const std::string command =
      std::string(kVariable) + "=1 '" + self + "' --gtest_filter=RandomFilesGolden.HaveTheSameIdsInTwoProcesses";
  return popen(command.c_str(), "r");
}

std::string digest_of(FILE* pipe) {
  std::string out;
  std::array<char, 4096> piece{};
  while (pipe != nullptr && fgets(piece.data(), piece.size(), pipe) != nullptr) out += piece.data();
  if (pipe != nullptr) pclose(pipe);
  const std::size_t at = out.find("digest ");
  return at == std::string::npos ? out : out.substr(at + 7, 64);
}

bool has_line(const std::string& text, const std::string& parts) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream wanted(parts);
    std::size_t at = 0;
    for (std::string part; at != std::string::npos && std::getline(wanted, part, '|');) {
      at = line.find(part, at);
      if (at != std::string::npos) at += part.size();
    }
    if (at != std::string::npos) return true;
  }
  return false;
}

TEST(RandomFilesGolden, HaveTheSameIdsInTwoProcesses) {
  const bool is_other = std::getenv(kVariable) != nullptr;
  FILE* other = is_other ? nullptr : another_process();
  std::size_t jobs = 0;
  const std::string own = digest_of_all(jobs);
  EXPECT_GT(jobs, 10 * kFiles);
  if (is_other) {
    std::printf("digest %s\n", own.c_str());
    return;
  }
  EXPECT_EQ(digest_of(other), own);
}

// The generator reaches what it is there for: `|` separates what has to stand in one line, in this order.
TEST(RandomFiles, UseEveryPartOfTheLanguage) {
  std::string all;
  for (std::uint64_t number = 0; number < 1000; ++number) all += RandomFile(number).text();
  for (const char* part : {"recipe: hf",
                           "precision: bf16",
                           "precision: tf32",
                           "goal: minimize",
                           "init: random",
                           "preset:",
                           "split: 0.1",
                           "path: |train: {max_length",
                           "data: |train: {schedule",
                           "    train: {weight_decay",
                           "    parameters: {clip",
                           "    seeds: [4, 5]",
                           "sampler: random",
                           "sampler: sobol",
                           "sampler: tpe",
                           "startup: 3",
                           "zip:",
                           "when:",
                           "exclude:",
                           "specialized:",
                           "robust: true",
                           "hyperband",
                           "bootstrap",
                           "ties: first",
                           "variant: promote",
                           "method: halving",
                           "method: median",
                           "among: all",
                           "method: threshold",
                           "method: patience",
                           "method: pbt",
                           "unit: step",
                           "kind: finetune",
                           "subsets",
                           "leave_one_out",
                           "greedy",
                           "sweep:old",
                           "{b: adapters/b}",
                           "stat: median",
                           "on_missing: wait",
                           "prune:|keep: [1]",
                           "prune:|threshold: 0.2",
                           "prune:|keep:|threshold: [",
                           "prune:|best: 1, per: [task, set]",
                           "evaluate:|depths: all",
                           "evaluate:|best: 1, per: [task, drop]",
                           "kind: benchmark|members_init: random",
                           "kind: benchmark|members_init: trained"}) {
    EXPECT_TRUE(has_line(all, part)) << part;
  }
}

}  // namespace
}  // namespace fathom::sweeps::testing
