// Bad input: every tests/golden/sweeps/errors/*.yaml gives exactly the messages of the .txt beside it.
// FATHOM_UPDATE_GOLDEN=1 writes the .txt files anew.
#include <algorithm>
#include <cstdlib>

#include "tests/unit/sweeps/support.hpp"

namespace fathom::sweeps::testing {
namespace {

std::vector<std::string> error_cases() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(source_dir() / "tests/golden/sweeps/errors")) {
    if (entry.path().extension() == ".yaml") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

class ErrorCase : public ::testing::TestWithParam<std::string> {};

TEST_P(ErrorCase, SaysWhatAndWhere) {
  const auto file = source_dir() / "tests/golden/sweeps/errors" / (GetParam() + ".yaml");
  auto expected = file;
  expected.replace_extension(".txt");
  ParseOptions options = options_for(file);
  options.layers = [](const nlohmann::json& model) {
    return model.value("path", nlohmann::json()) == "models/of-6-layers" ? 6U : 0U;
  };
  const ParseResult result = parse(read_file(file), options);
  EXPECT_FALSE(result.errors.empty());
  EXPECT_TRUE(result.sweep.resolved.is_null()) << "a sweep beside errors invites its use";
  const std::string text = rendered(result);
  if (std::getenv("FATHOM_UPDATE_GOLDEN") != nullptr) std::ofstream(expected, std::ios::binary) << text;
  EXPECT_EQ(text, read_file(expected));
}

std::string test_name(const ::testing::TestParamInfo<std::string>& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Golden, ErrorCase, ::testing::ValuesIn(error_cases()), test_name);

}  // namespace
}  // namespace fathom::sweeps::testing
