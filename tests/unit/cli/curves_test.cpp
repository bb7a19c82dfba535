// curves.csv: every point of every curve, asked for name by name.
#include "cli/curves.hpp"

#include <sstream>

#include <gtest/gtest.h>

namespace fathom::cli {
namespace {

using nlohmann::json;

// As the coordinator answers: with max=4 thinned out, by name whole.
Result<json> answer(const std::string& query, std::vector<std::string>& asked) {
  asked.push_back(query);
  json points = json::array({{1, 0.5, 100}, {2, nullptr, 200}, {3, 0.25, 300}});
  const json loss = {{"name", "train/loss"}, {"depth", nullptr}, {"points", points}};
  const json deep = {{"name", "eval/a,b"}, {"depth", 3}, {"points", {{2, 0.75, 250}}}};
  const json shallow = {{"name", "eval/a,b"}, {"depth", 0}, {"points", {{2, 1, 250}}}};
  if (query == "max=4") return json{{"series", {shallow, deep, loss}}};
  if (query == "name=train%2Floss&max=100000") return json{{"series", json::array({loss})}};
  if (query == "name=eval%2Fa%2Cb&max=100000") return json{{"series", {shallow, deep}}};
  return Error{Errc::invalid_argument, query};
}

TEST(Curves, HaveARowForEachPoint) {
  std::vector<std::string> asked;
  std::ostringstream out;
  const auto done = write_curves(out, "0123abcd", [&](const std::string& query) { return answer(query, asked); });
  ASSERT_TRUE(done.ok()) << done.error().message;
  EXPECT_EQ(out.str(),
            "0123abcd,\"eval/a,b\",0,2,1\n0123abcd,\"eval/a,b\",3,2,0.75\n0123abcd,train/loss,,1,0.5\n"
            "0123abcd,train/loss,,2,\n0123abcd,train/loss,,3,0.25\n");
  EXPECT_EQ(asked.size(), 3u);
}

TEST(Curves, OfAJobThatHasNotBegunAreNone) {
  std::ostringstream out;
  EXPECT_TRUE(write_curves(out, "x", [](const std::string&) {
                return Result<json>(json{{"series", json::array()}});
              }).ok());
  EXPECT_EQ(out.str(), "");
}

TEST(Curves, ThatWouldComeThinnedOutAreRefused) {
  std::ostringstream out;
  const auto many = [](const std::string&) {
    return Result<json>(json{
        {"series", json::array({{{"name", "loss"}, {"points", std::vector<std::vector<int>>(100'000, {1, 2, 3})}}})}});
  };
  const auto done = write_curves(out, "x", many);
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(done.error().code, Errc::resource_exhausted);
}

}  // namespace
}  // namespace fathom::cli
