// Shared by the sweep tests: files of the project, and parsing that fails the test with the rendered errors.
#pragma once

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "sweeps/sweep.hpp"

namespace fathom::sweeps::testing {

std::filesystem::path source_dir();  // of the project

inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in.good()) << path;
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

// Options that resolve `include` beside `file`.
inline ParseOptions options_for(const std::filesystem::path& file) {
  ParseOptions options;
  options.file = file.filename().string();
  options.read_include = [folder = file.parent_path()](const std::string& path) -> Result<std::string> {
    std::ifstream in(folder / path, std::ios::binary);
    if (!in) return Error{Errc::not_found, "no such file"};
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
  };
  return options;
}

inline std::string rendered(const ParseResult& result) {
  std::string out;
  for (const Diagnostic& error : result.errors) out += render(error) + "\n";
  if (result.more > 0) out += more_mistakes(result.more) + "\n";
  return out;
}

inline Sweep parsed(const std::string& yaml, const ParseOptions& options = {}) {
  const ParseResult result = parse(yaml, options);
  EXPECT_TRUE(result.errors.empty()) << rendered(result);
  return result.sweep;
}

// The plan of a valid file; an empty one after a failed expectation.
inline Plan planned(const std::string& yaml, const ParseOptions& options = {}, std::uint32_t layers = 0) {
  const Sweep sweep = parsed(yaml, options);
  if (sweep.resolved.is_null()) return {};
  auto plan = expand(sweep, layers);
  EXPECT_TRUE(plan.ok()) << (plan.ok() ? "" : plan.error().message);
  return plan.ok() ? *std::move(plan) : Plan{};
}

inline Plan planned_file(const std::filesystem::path& file, std::uint32_t layers = 0) {
  return planned(read_file(file), options_for(file), layers);
}

// Jobs by stage, in order.
inline std::vector<std::size_t> counts(const Plan& plan) {
  std::vector<std::size_t> out;
  for (const Stage& stage : plan.stages) out.push_back(stage.count);
  return out;
}

// A file with two tasks and the given rest (from column 0).
inline std::string file_with(const std::string& rest) {
  return "version: 1\nname: t\nmodel: {path: models/m}\ntasks:\n  a: {path: data/a}\n  b: {path: data/b}\n" + rest;
}

}  // namespace fathom::sweeps::testing
