#include "trainer/check/command.hpp"

#include <fnmatch.h>

#include <algorithm>
#include <iostream>
#include <map>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "trainer/check/cases.hpp"

namespace fathom::trainer {
namespace {

namespace fs = std::filesystem;
using check::Case;
using check::Outcome;

struct Counts {
  std::size_t passed = 0, failed = 0, skipped = 0;
  void add(check::Status status) {
    ++(status == check::Status::passed ? passed : status == check::Status::failed ? failed : skipped);
  }
};

int usage(const std::string& message) {
  std::cerr << "fathom-trainer check: " << message << "\n";
  return 2;
}

std::optional<std::map<std::string, fs::path>> parse_models(const std::vector<std::string>& given) {
  std::map<std::string, fs::path> models;
  for (const auto& text : given) {
    const auto equals = text.find('=');
    if (equals == std::string::npos || equals == 0 || !fs::is_directory(text.substr(equals + 1))) return std::nullopt;
    models[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return models;
}

nlohmann::json to_json(const Case& one, const Outcome& outcome) {
  nlohmann::json line = {{"case", one.id}, {"kind", check::name_of(one.kind)}, {"status", "skipped"}};
  if (outcome.status != check::Status::skipped) {
    line["status"] = outcome.status == check::Status::passed ? "passed" : "failed";
  }
  if (!outcome.at.empty()) {
    line["at"] = outcome.at;
    line["error"] = outcome.error;
    line["tolerance"] = outcome.tolerance;
  }
  if (!outcome.message.empty()) line["message"] = outcome.message;
  return line;
}

std::string to_text(const Case& one, const Outcome& outcome, std::size_t width) {
  std::string line = fmt::format("{}  {:<{}}", check::name_of(outcome.status), one.id, width);
  if (!outcome.at.empty())
    line += fmt::format("  error {:.1e}  tolerance {:.1e}  {}", outcome.error, outcome.tolerance, outcome.at);
  if (!outcome.message.empty()) line += "  " + outcome.message;
  return line;
}

}  // namespace

int run_check(const CheckOptions& options, std::ostream& out) {
  const auto models = parse_models(options.models);
  if (!models) return usage("--model takes NAME=DIR, with the folder of a base model");
  check::Checker checker(options.folder, *models);
  auto cases = checker.cases();
  if (!cases) {
    std::cerr << "fathom-trainer check: " << cases.error().message << "\n";
    return 1;
  }
  const bool chosen = !options.pattern.empty();
  std::erase_if(*cases,
                [&](const Case& one) { return chosen && ::fnmatch(options.pattern.c_str(), one.id.c_str(), 0) != 0; });
  if (cases->empty()) return usage("no case matches '" + options.pattern + "'");
  std::size_t width = 0;
  for (const Case& one : *cases) width = std::max(width, one.id.size());
  Counts counts;
  for (const Case& one : *cases) {
    Outcome outcome = checker.run(one);
    // What was asked for by name and did not run has not passed.
    if (chosen && outcome.status == check::Status::skipped) outcome.status = check::Status::failed;
    counts.add(outcome.status);
    // A tensor's name may be any bytes.
    const auto lenient = nlohmann::json::error_handler_t::replace;
    out << (options.json ? to_json(one, outcome).dump(-1, ' ', false, lenient) : to_text(one, outcome, width))
        << std::endl;
  }
  if (!options.json)
    out << fmt::format("{} passed, {} failed, {} skipped\n", counts.passed, counts.failed, counts.skipped);
  return counts.failed == 0 ? 0 : 1;
}

}  // namespace fathom::trainer
