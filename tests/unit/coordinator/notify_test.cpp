// Where messages may go, and how they are signed.
#include <gtest/gtest.h>

#include "coordinator/notify/public_address.hpp"
#include "coordinator/notify/webhook.hpp"

namespace fathom::notify {
namespace {

TEST(Webhook, OnlyGlobalAddressesArePublic) {
  for (const char* address : {"1.1.1.1", "93.184.216.34", "172.15.255.255", "172.32.0.1", "100.63.0.1", "100.128.0.1",
                              "198.17.0.1", "2606:4700:4700::1111", "2a00:1450::1"})
    EXPECT_TRUE(is_public(address)) << address;
  for (const char* address : {"127.0.0.1",
                              "127.255.255.254",
                              "0.0.0.0",
                              "10.1.2.3",
                              "172.16.0.1",
                              "172.31.255.255",
                              "192.168.1.1",
                              "169.254.169.254",
                              "100.64.0.1",
                              "192.0.2.1",
                              "198.18.0.1",
                              "198.51.100.7",
                              "203.0.113.9",
                              "224.0.0.1",
                              "255.255.255.255",
                              "::1",
                              "::",
                              "fe80::1",
                              "fd00::1",
                              "ff02::1",
                              "::ffff:127.0.0.1",
                              "::ffff:1.1.1.1",
                              "64:ff9b::7f00:1",
                              "2002:7f00:1::",
                              "2001::1",
                              "2001:db8::1",
                              "localhost",
                              "",
                              "1.1.1"})
    EXPECT_FALSE(is_public(address)) << address;
}

TEST(Webhook, ALiteralResolvesToItselfAndIsRefusedWherePrivate) {
  const HttpsUrl url{"127.0.0.1", 443, "/"};
  EXPECT_EQ(choose_address(url, true, Millis(5000)).value(), "127.0.0.1");
  const auto refused = choose_address(url, false, Millis(5000));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::permission_denied);
}

// The expected value is Python's hmac module's.
TEST(Webhook, TheSignatureIsHmacSha256OfTimeAndBody) {
  EXPECT_EQ(signature("Jefe", 1700000000, R"({"a":1})"),
            "sha256=fa5f6481efc59da48b19c9dc10196c9953e5651f8304b3a318b6b87d70272e0a");
  EXPECT_NE(signature("Jefe", 1700000001, R"({"a":1})"), signature("Jefe", 1700000000, R"({"a":1})"));
}

}  // namespace
}  // namespace fathom::notify
