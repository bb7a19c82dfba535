#include "tests/unit/coordinator/api_fixture.hpp"

namespace fathom::api {
namespace {

class BrowserTest : public ApiTest {
 protected:
  std::string login() {
    const json made = json::parse(post("/api/v1/logins").body);
    const auto answer = must(stranger()->request("GET", made["path"]));
    EXPECT_EQ(answer.status, 303);
    EXPECT_EQ(answer.headers.at("location"), "/");
    last_path_ = made["path"];
    cookie_header_ = answer.headers.at("set-cookie");
    return cookie_header_.substr(0, cookie_header_.find(';'));
  }
  std::string authority() { return "127.0.0.1:" + std::to_string(coordinator_->endpoint().port); }
  std::string last_path_;
  std::string cookie_header_;
};

TEST_F(BrowserTest, ACodeIsGoodOnceAndItsCookieOpensTheInterface) {
  start();
  const std::string cookie = login();
  EXPECT_NE(cookie_header_.find("HttpOnly"), std::string::npos);
  EXPECT_NE(cookie_header_.find("SameSite=Strict"), std::string::npos);
  EXPECT_EQ(must(stranger()->request("GET", "/api/v1/sweeps", {{"Cookie", cookie}})).status, 200);
  EXPECT_EQ(must(stranger()->request("GET", "/api/v1/sweeps", {{"Cookie", cookie + "0"}})).status, 401);
  EXPECT_EQ(must(stranger()->request("GET", last_path_)).status, 403) << "used";
  EXPECT_EQ(must(stranger()->request("GET", "/login?code=")).status, 403);
  EXPECT_EQ(must(stranger()->request("POST", "/api/v1/logins")).status, 401);
}

TEST_F(BrowserTest, WritesWithACookieMustComeFromOurOwnPage) {
  start();
  ASSERT_EQ(submit(1).status, 201);
  const std::string cookie = login();
  const std::string path = "/api/v1/sweeps/tiny/cancel";
  EXPECT_EQ(must(stranger()->request("POST", path, {{"Cookie", cookie}}, "{}")).status, 403);
  EXPECT_EQ(
      must(stranger()->request("POST", path, {{"Cookie", cookie}, {"Origin", "https://evil.example"}}, "{}")).status,
      403);
  EXPECT_EQ(
      must(stranger()->request("POST", path, {{"Cookie", cookie}, {"Origin", "http://127.0.0.1:1"}}, "{}")).status,
      403);
  const auto own =
      must(stranger()->request("POST", path, {{"Cookie", cookie}, {"Origin", "https://" + authority()}}, "{}"));
  EXPECT_EQ(own.status, 202);
}

TEST_F(BrowserTest, AnotherHostNameIsRefusedBeforeTheTokenIsLookedAt) {
  start();
  EXPECT_EQ(must(client()->request("GET", "/api/v1/sweeps", {{"Host", "evil.example:7447"}})).status, 421);
  EXPECT_EQ(must(client()->request("GET", "/api/v1/sweeps", {{"Host", "localhost:9999"}})).status, 200);
  EXPECT_EQ(must(client()->request("GET", "/api/v1/sweeps", {{"Host", "[::1]:7447"}})).status, 200);
  EXPECT_EQ(must(client()->request("GET", "/api/v1/sweeps", {{"Host", ""}})).status, 421);
}

TEST_F(BrowserTest, SessionsDoNotSurviveARestart) {
  start();
  const std::string cookie = login();
  stop();
  start();
  EXPECT_EQ(must(stranger()->request("GET", "/api/v1/sweeps", {{"Cookie", cookie}})).status, 401);
}

}  // namespace
}  // namespace fathom::api
