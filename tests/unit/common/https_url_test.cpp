// Addresses of webhooks, and references to secrets.
#include <gtest/gtest.h>

#include "common/https_url.hpp"
#include "common/reference.hpp"

namespace fathom {
namespace {

TEST(HttpsUrl, IsTakenApart) {
  const auto plain = parse_https_url("https://hooks.example.org/services/A/B?x=1");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->host, "hooks.example.org");
  EXPECT_EQ(plain->port, 443);
  EXPECT_EQ(plain->target, "/services/A/B?x=1");
  EXPECT_EQ(parse_https_url("https://example.org")->target, "/");
  EXPECT_EQ(parse_https_url("https://example.org?x")->target, "/?x");
  EXPECT_EQ(parse_https_url("https://example.org:8443/a")->port, 8443);
  EXPECT_EQ(parse_https_url("https://[2606:4700::1]:1/")->host, "2606:4700::1");
}

TEST(HttpsUrl, WhatIsNoneIsRefusedWithoutBeingRepeated) {
  for (const char* text :
       {"", "https://", "http://example.org/", "https://:443/", "https://a:0/", "https://a:70000/", "https://a:x/",
        "https://u:p@example.org/", "https://[::1/", "https://[::1]x/", "https://a/#f", "https://a/ b",
        "https://a/\r\nX: y", "https://a\\b/", "https://\xc3\xa9/"}) {
    const auto url = parse_https_url(text);
    ASSERT_FALSE(url) << text;
    EXPECT_EQ(url.error().message.find("u:p"), std::string::npos);
  }
  EXPECT_FALSE(parse_https_url("https://a/" + std::string(3000, 'x')));
}

TEST(Reference, IsOneNameAndNothingElse) {
  EXPECT_EQ(env_name("${env:HOOK_URL}"), "HOOK_URL");
  for (const char* text :
       {"", "HOOK_URL", "${env:}", "${env:1A}", "${env:A B}", "x${env:A}", "${env:A}x", "${env:A", "$env:A"})
    EXPECT_FALSE(env_name(text)) << text;
  EXPECT_TRUE(is_reference("x${env:A}"));
  EXPECT_FALSE(is_reference("${file:A}"));
}

}  // namespace
}  // namespace fathom
