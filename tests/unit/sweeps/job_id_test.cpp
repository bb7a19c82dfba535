#include "sweeps/job_id.hpp"

#include <gtest/gtest.h>

#include "common/sha256.hpp"

namespace fathom::sweeps {
namespace {

TEST(JobId, IsTheHeadOfTheHash) {
  for (const char* text : {"", "{}", R"({"kind":"adapter"})"})
    EXPECT_EQ(JobId::of(text).text(), sha256_hex(text).substr(0, 16)) << text;
}

TEST(JobId, ItsTextIsReadBackAndNothingElse) {
  for (const std::uint64_t value : {0ULL, 1ULL, 0x00ff00ff00ff00ffULL, ~0ULL})
    EXPECT_EQ(JobId::from(JobId(value).text()), JobId(value));
  for (const char* text : {"", "0", "00ff00ff00ff00f", "00ff00ff00ff00fff", "00FF00FF00FF00FF", "-0ff00ff00ff00ff",
                           "0x00000000000000", "g000000000000000", " 000000000000000"})
    EXPECT_EQ(JobId::from(text), std::nullopt) << text;
}

}  // namespace
}  // namespace fathom::sweeps
