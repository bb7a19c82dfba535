#include <sys/stat.h>

#include "common/files.hpp"
#include "common/net/endpoint.hpp"
#include "common/net/secrets.hpp"
#include "common/net/sse.hpp"
#include "tests/unit/common/net_fixture.hpp"

namespace fathom::net {
namespace {

unsigned mode_of(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 ? info.st_mode & 0777 : 0;
}

TEST(Identity, IsMadeOnceAndKept) {
  const TempFolder folder;
  const auto first = must(ensure_identity(folder.path() + "/tls", {}));
  EXPECT_EQ(first.ca_sha256.size(), 64U);
  EXPECT_EQ(mode_of(first.key_file), 0600U);
  EXPECT_EQ(mode_of(folder.path() + "/tls/ca.key"), 0600U);
  const auto key = must(read_file(first.key_file));
  const auto second = must(ensure_identity(folder.path() + "/tls", {}));
  EXPECT_EQ(second.ca_sha256, first.ca_sha256);
  EXPECT_EQ(must(read_file(first.key_file)), key);
}

TEST(Identity, ANewHostNameMakesANewServerCertificateUnderTheSameAuthority) {
  const TempFolder folder;
  const auto first = must(ensure_identity(folder.path(), {}));
  const auto certificate = must(read_file(first.certificate_file));
  const auto second = must(ensure_identity(folder.path(), {"trainer.example.org", "10.1.2.3"}));
  EXPECT_EQ(second.ca_sha256, first.ca_sha256);
  EXPECT_NE(must(read_file(second.certificate_file)), certificate);
}

TEST(Identity, RefusesNamesThatWouldBecomeOtherExtensions) {
  const TempFolder folder;
  for (const char* name : {"", "a,DNS:evil", "a b", "a\nb"}) {
    const auto identity = ensure_identity(folder.path(), {name});
    ASSERT_FALSE(identity.ok());
    EXPECT_EQ(identity.error().code, Errc::invalid_argument);
  }
}

TEST(Identity, ABrokenAuthorityIsReportedAndNeverReplaced) {
  const TempFolder folder;
  ASSERT_TRUE(write_file_atomic(folder.path() + "/ca.pem", "not a certificate").ok());
  const auto identity = ensure_identity(folder.path(), {});
  ASSERT_FALSE(identity.ok());
  EXPECT_EQ(identity.error().code, Errc::corrupt);
  EXPECT_NE(identity.error().message.find("ca.pem"), std::string::npos);
}

TEST(JoinToken, RoundTripsAndRefusesEverythingElse) {
  const JoinToken token{std::string(64, 'a'), must(random_hex())};
  const auto parsed = must(parse_join_token("  " + to_text(token) + "\n"));
  EXPECT_EQ(parsed.ca_sha256, token.ca_sha256);
  EXPECT_EQ(parsed.secret, token.secret);
  const std::string text = to_text(token);
  for (const std::string& bad : {std::string(), std::string("fathom-join-1."), text.substr(0, 90), "x" + text,
                                 text + "!", "fathom-join-2" + text.substr(13)}) {
    EXPECT_FALSE(parse_join_token(bad).ok()) << bad;
  }
}

TEST(Secrets, AreLongDifferentAndPrivate) {
  const TempFolder folder;
  EXPECT_NE(must(random_hex()), must(random_hex()));
  const auto first = must(ensure_secret_file(folder.path() + "/token"));
  EXPECT_EQ(first.size(), 64U);
  EXPECT_EQ(must(ensure_secret_file(folder.path() + "/token")), first);
  EXPECT_EQ(mode_of(folder.path() + "/token"), 0600U);
  EXPECT_TRUE(equal_constant_time("abc", "abc"));
  EXPECT_FALSE(equal_constant_time("abc", "abd"));
  EXPECT_FALSE(equal_constant_time("abc", "abcd"));
}

TEST(Endpoint, IsReadAsPeopleWriteIt) {
  EXPECT_EQ(must(parse_endpoint("localhost")).port, 7447);
  EXPECT_EQ(must(parse_endpoint("127.0.0.1:0")).port, 0);
  const auto v6 = must(parse_endpoint("[::1]:8000"));
  EXPECT_EQ(v6.host, "::1");
  EXPECT_EQ(v6.port, 8000);
  EXPECT_EQ(to_text(v6), "[::1]:8000");
  for (const char* bad :
       {"", ":80", "host:", "host:65536", "host:-1", "::1", "[::1", "[::1]80", "a b:1", "http://a:1"}) {
    EXPECT_FALSE(parse_endpoint(bad).ok()) << bad;
  }
  EXPECT_TRUE(is_loopback("127.1.2.3"));
  EXPECT_FALSE(is_loopback("127.evil.org"));
  EXPECT_FALSE(is_loopback("0.0.0.0"));
}

TEST(Sse, EventsSurviveAnySplit) {
  const std::string text =
      to_text(SseEvent{"7", "job", "{\"a\":1}\nsecond"}) + ": comment\n\n" + to_text(SseEvent{"8", "", "x"});
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    SseParser parser;
    auto events = parser.feed(text.substr(0, cut));
    for (auto& event : parser.feed(text.substr(cut))) events.push_back(std::move(event));
    ASSERT_EQ(events.size(), 2U) << cut;
    EXPECT_EQ(events[0].id, "7");
    EXPECT_EQ(events[0].event, "job");
    EXPECT_EQ(events[0].data, "{\"a\":1}\nsecond");
    EXPECT_EQ(events[1].event, "message");
    EXPECT_EQ(events[1].data, "x");
  }
}

}  // namespace
}  // namespace fathom::net
