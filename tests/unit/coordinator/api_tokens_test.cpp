// Roles, tokens, failure limits and the audit log.
#include <map>

#include "coordinator/api/audit_log.hpp"
#include "coordinator/api/failure_limit.hpp"
#include "coordinator/api/tokens.hpp"
#include "tests/unit/coordinator/api_fixture.hpp"

namespace fathom::api {
namespace {

class TokensTest : public ApiTest {
 protected:
  // The client of a new token.
  std::unique_ptr<net::HttpsClient> client_of(const std::string& role, const std::string& name = "") {
    const auto made = post("/api/v1/tokens", {{"name", name.empty() ? role + "-1" : name}, {"role", role}});
    EXPECT_EQ(made.status, 201) << made.body;
    return std::make_unique<net::HttpsClient>(client_options(json::parse(made.body)["token"]));
  }
};

// The table of who may do what. A route that is not in it fails here, one that forgets its role is the admin's.
const std::map<std::string, Access> kTable = {
    {"POST /api/v1/sweeps", Access::submitter},
    {"GET /api/v1/sweeps", Access::viewer},
    {"GET /api/v1/sweeps/{sweep}", Access::viewer},
    {"GET /api/v1/sweeps/{sweep}/yaml", Access::viewer},
    {"GET /api/v1/sweeps/{sweep}/resolved", Access::viewer},
    {"GET /api/v1/sweeps/{sweep}/replay", Access::viewer},
    {"GET /api/v1/sweeps/{sweep}/jobs", Access::viewer},
    {"GET /api/v1/sweeps/{sweep}/results", Access::viewer},
    {"GET /api/v1/sweeps/{sweep}/curves", Access::viewer},
    {"POST /api/v1/sweeps/{sweep}/cancel", Access::submitter},
    {"POST /api/v1/sweeps/{sweep}/change", Access::submitter},
    {"POST /api/v1/sweeps/{sweep}/stop", Access::submitter},
    {"POST /api/v1/sweeps/{sweep}/retry", Access::submitter},
    {"POST /api/v1/sweeps/{sweep}/jobs/{job}/rerun", Access::submitter},
    {"POST /api/v1/sweeps/{sweep}/jobs/{job}/pin", Access::submitter},
    {"POST /api/v1/sweeps/{sweep}/jobs/{job}/unpin", Access::submitter},
    {"POST /api/v1/results/known", Access::viewer},
    {"GET /api/v1/sweeps/{sweep}/jobs/{job}", Access::viewer},
    {"GET /api/v1/sweeps/{sweep}/jobs/{job}/metrics", Access::viewer},
    {"GET /api/v1/sweeps/{sweep}/jobs/{job}/events", Access::viewer},
    {"GET /api/v1/sweeps/{sweep}/jobs/{job}/log", Access::viewer},
    {"POST /api/v1/sweeps/{sweep}/jobs/{job}/cancel", Access::submitter},
    {"GET /api/v1/artifacts/{sha256}", Access::viewer},
    {"GET /api/v1/log", Access::admin},
    {"GET /api/v1/workers", Access::viewer},
    {"POST /api/v1/workers/{worker}/revoke", Access::admin},
    {"POST /api/v1/join-tokens", Access::admin},
    {"GET /api/v1/join-tokens", Access::admin},
    {"DELETE /api/v1/join-tokens/{name}", Access::admin},
    {"GET /api/v1/events", Access::viewer},
    {"GET /metrics", Access::viewer},
    {"GET /healthz", Access::open},
    {"POST /api/v1/tokens", Access::admin},
    {"GET /api/v1/tokens", Access::admin},
    {"DELETE /api/v1/tokens/{name}", Access::admin},
    {"POST /api/v1/logins", Access::viewer},
    {"GET /login", Access::open},
    {"GET /", Access::open},
    {"GET /static/{file...}", Access::open},
    {"GET /api/v1/openapi.json", Access::viewer},
};

std::string path_of(std::string pattern) {
  for (auto open = pattern.find('{'); open != std::string::npos; open = pattern.find('{')) {
    pattern.replace(open, pattern.find('}') - open + 1, "x");
  }
  return pattern;
}

TEST_F(TokensTest, EveryRouteIsInTheTableAndAsksForItsRole) {
  start();
  const std::map<Role, std::unique_ptr<net::HttpsClient>> clients = [&] {
    std::map<Role, std::unique_ptr<net::HttpsClient>> made;
    for (const Role role : {Role::viewer, Role::submitter, Role::admin}) made[role] = client_of(name_of(role));
    return made;
  }();
  EXPECT_EQ(coordinator_->routes().size(), kTable.size());
  for (const Route& route : coordinator_->routes()) {
    const auto row = kTable.find(route.method + " " + route.pattern);
    ASSERT_NE(row, kTable.end()) << route.method << ' ' << route.pattern << " has no row";
    EXPECT_EQ(route.access, row->second) << row->first;
    if (row->second == Access::open || row->first == "GET /api/v1/events") continue;  // a stream has no end
    for (const auto& [role, client] : clients) {
      const auto answer =
          must(client->request(route.method, path_of(route.pattern), {}, route.method == "POST" ? "{}" : ""));
      EXPECT_EQ(answer.status == 403, role < role_for(row->second))
          << row->first << " as " << name_of(role) << ": " << answer.body;
      EXPECT_NE(answer.status, 401);
    }
  }
}

TEST_F(TokensTest, AreMadeShownOnceListedAndRevoked) {
  start();
  auto viewer = client_of("viewer", "ada");
  EXPECT_EQ(must(viewer->request("GET", "/api/v1/sweeps")).status, 200);
  EXPECT_EQ(post("/api/v1/tokens", {{"name", "ada"}, {"role", "viewer"}}).status, 409);
  EXPECT_EQ(post("/api/v1/tokens", {{"name", "a b"}, {"role", "viewer"}}).status, 400);
  EXPECT_EQ(post("/api/v1/tokens", {{"name", "x"}, {"role", "root"}}).status, 400);
  EXPECT_EQ(post("/api/v1/tokens", {{"name", "x"}, {"role", "admin"}, {"days", -1}}).status, 400);
  EXPECT_EQ(post("/api/v1/tokens", {{"name", "x"}, {"role", "admin"}, {"hours", 1}}).status, 400);
  const json listed = get_json("/api/v1/tokens");
  ASSERT_EQ(listed["items"].size(), 2U);
  EXPECT_EQ(listed["items"][1]["name"], "ada");
  EXPECT_FALSE(listed["items"][1].contains("token"));
  stop();
  start();  // kept over a restart; the client connects anew to another port
  const std::string file = must(read_file(settings_.state + "/coordinator/tokens.json"));
  EXPECT_NE(file.find("ada"), std::string::npos);
  EXPECT_EQ(must(client()->request("DELETE", "/api/v1/tokens/ada")).status, 200);
  EXPECT_EQ(must(client()->request("DELETE", "/api/v1/tokens/ada")).status, 404);
  EXPECT_EQ(must(client()->request("DELETE", "/api/v1/tokens/admin")).status, 403);
}

TEST_F(TokensTest, ABrowserHasTheRoleOfWhoLoggedItInAndEndsWithTheirToken) {
  start();
  auto viewer = client_of("viewer", "ada");
  const json made = json::parse(must(viewer->request("POST", "/api/v1/logins")).body);
  const auto login = must(stranger()->request("GET", made["path"]));
  ASSERT_EQ(login.status, 303);
  const std::string header = login.headers.at("set-cookie");
  const net::Headers cookie{{"Cookie", header.substr(0, header.find(';'))},
                            {"Origin", "https://127.0.0.1:" + std::to_string(coordinator_->endpoint().port)}};
  EXPECT_EQ(must(stranger()->request("GET", "/api/v1/sweeps", cookie)).status, 200);
  EXPECT_EQ(must(stranger()->request("POST", "/api/v1/sweeps", cookie, "{}")).status, 403);
  EXPECT_EQ(must(client()->request("DELETE", "/api/v1/tokens/ada")).status, 200);
  EXPECT_EQ(must(stranger()->request("GET", "/api/v1/sweeps", cookie)).status, 401);
}

TEST_F(TokensTest, FailuresOfAnAddressAreLimitedAndGoodTokensAreNot) {
  start();
  std::map<int, int> statuses;
  for (int i = 0; i < 30; ++i) ++statuses[must(stranger()->request("GET", "/api/v1/sweeps")).status];
  EXPECT_EQ(statuses[401], 20);
  EXPECT_EQ(statuses[429], 10);
  EXPECT_EQ(get("/api/v1/sweeps").status, 200);
}

TEST_F(TokensTest, TheAuditLogSaysWhoChangedOrWasRefusedWhat) {
  start();
  auto viewer = client_of("viewer", "ada");
  ASSERT_EQ(submit(1).status, 201);
  EXPECT_EQ(must(viewer->request("POST", "/api/v1/sweeps/tiny/cancel", {}, "{}")).status, 403);
  EXPECT_EQ(must(stranger()->request("GET", "/api/v1/sweeps?token=secret")).status, 401);
  EXPECT_EQ(must(viewer->request("GET", "/api/v1/sweeps")).status, 200);
  stop();
  const auto lines = audit();
  ASSERT_EQ(lines.size(), 4U);  // a look is not there
  EXPECT_EQ(lines[0]["path"], "/api/v1/tokens");
  EXPECT_EQ(lines[1]["who"], "admin");
  EXPECT_EQ(lines[1]["status"], 201);
  EXPECT_EQ(lines[2]["who"], "ada");
  EXPECT_EQ(lines[2]["role"], "viewer");
  EXPECT_EQ(lines[2]["path"], "/api/v1/sweeps/tiny/cancel");
  EXPECT_EQ(lines[2]["status"], 403);
  EXPECT_EQ(lines[3]["who"], "");
  EXPECT_EQ(lines[3]["peer"], "127.0.0.1");
  EXPECT_EQ(lines[3]["path"], "/api/v1/sweeps");
}

TEST(TokenStore, ATokenExpiresAndADamagedFileIsRefused) {
  const TempFolder folder;
  FakeClock clock;
  auto store = must(TokenStore::open(folder / "tokens.json", "root", clock));
  const std::string secret = must(store->create("short", Role::submitter, Millis{1000}));
  EXPECT_EQ(store->find(secret)->role, Role::submitter);
  EXPECT_EQ(store->find("root")->name, TokenStore::kAdmin);
  clock.passed = Millis{1000};
  EXPECT_FALSE(store->find(secret));
  EXPECT_FALSE(store->alive("short"));
  ASSERT_TRUE(write_file_atomic(folder / "tokens.json", "{\"tokens\": [{}]}").ok());
  EXPECT_EQ(TokenStore::open(folder / "tokens.json", "root", clock).error().code, Errc::corrupt);
}

TEST(FailureLimit, CountsByAddressAndForgetsTheOldest) {
  FakeClock clock;
  FailureLimit limit(clock, {.failures = 2, .window = Millis{1000}, .addresses = 2});
  EXPECT_EQ(limit.fail("a"), Millis{0});
  EXPECT_EQ(limit.fail("a"), Millis{0});
  clock.passed = Millis{400};
  EXPECT_EQ(limit.fail("a"), Millis{600});
  EXPECT_EQ(limit.fail("b"), Millis{0});
  clock.passed = Millis{1000};
  EXPECT_EQ(limit.fail("a"), Millis{0}) << "a new window";
  clock.passed = Millis{1100};
  EXPECT_EQ(limit.fail("c"), Millis{0});  // b goes: it failed longest ago
  EXPECT_EQ(limit.fail("a"), Millis{0});
  EXPECT_GT(limit.fail("a"), Millis{0});
}

TEST(AuditLog, IsBoundedAndThinsRefusals) {
  const TempFolder folder;
  FakeClock clock;
  {
    AuditLog log(folder / "audit.jsonl", clock, {.bytes = 2000, .refusals_per_second = 3});
    for (int i = 0; i < 10; ++i) log.write({"", "", "10.0.0.1", "GET", "/x", 401});
    clock.passed = Millis{1000};
    log.write({"", "", "10.0.0.1", "GET", "/\xff", 401});
  }
  const std::string first = must(read_file(folder / "audit.jsonl"));
  EXPECT_EQ(std::count(first.begin(), first.end(), '\n'), 4);
  EXPECT_NE(first.find("\"refusals_left_out\":7"), std::string::npos);
  AuditLog log(folder / "audit.jsonl", clock, {.bytes = 2000, .refusals_per_second = 3});
  for (int i = 0; i < 30; ++i) log.write({"ada", "admin", "10.0.0.1", "POST", "/api/v1/sweeps", 201});
  EXPECT_LE(must(read_file(folder / "audit.jsonl")).size(), 2200U);
  EXPECT_LE(must(read_file(folder / "audit.jsonl.1")).size(), 2200U);
}

}  // namespace
}  // namespace fathom::api
