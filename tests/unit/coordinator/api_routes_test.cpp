#include "tests/unit/coordinator/api_fixture.hpp"

namespace fathom::api {
namespace {

// A path that the pattern matches.
std::string example_of(std::string pattern) {
  for (auto open = pattern.find('{'); open != std::string::npos; open = pattern.find('{')) {
    pattern.replace(open, pattern.find('}') - open + 1, "x");
  }
  return pattern;
}

TEST_F(ApiTest, EveryRouteButTheOpenOnesNeedsTheToken) {
  start();
  auto nobody = stranger();
  net::HttpsClient wrong(client_options(std::string(64, 'a')));
  std::vector<std::string> open;
  for (const Route& route : coordinator_->routes()) {
    const std::string path = example_of(route.pattern);
    if (route.access == Access::open) {
      open.push_back(route.pattern);
      continue;
    }
    for (net::HttpsClient* client : {nobody.get(), &wrong}) {
      const auto answer = must(client->request(route.method, path));
      // After many failures an address is told to wait; it still gets nothing.
      EXPECT_TRUE(answer.status == 401 || answer.status == 429) << route.method << ' ' << path << ": " << answer.status;
      EXPECT_EQ(answer.headers.at("content-type"), "application/problem+json");
    }
  }
  EXPECT_EQ(open, (std::vector<std::string>{"/healthz", "/login", "/", "/static/{file...}"}));
  EXPECT_GE(coordinator_->routes().size(), 24U);
}

TEST_F(ApiTest, UnknownPathsAndMethodsAreTold) {
  start();
  EXPECT_EQ(must(stranger()->request("GET", "/api/v1/nothing")).status, 401) << "a stranger learns nothing";
  EXPECT_EQ(get("/api/v1/nothing").status, 404);
  EXPECT_EQ(get("/api/v1/sweeps/nothing").status, 404);
  EXPECT_EQ(get("/api/v1/sweeps/nothing/jobs").status, 404);
  EXPECT_EQ(get("/api/v1/artifacts/" + std::string(64, '0')).status, 404);
  EXPECT_EQ(get("/api/v1/artifacts/..%2f..%2ftoken").status, 400);
  const auto answer = must(client()->request("DELETE", "/api/v1/sweeps"));
  EXPECT_EQ(answer.status, 405);
  EXPECT_EQ(answer.headers.at("allow"), "POST, GET");
}

TEST_F(ApiTest, QueriesAreCheckedBeforeTheyAreUsed) {
  start();
  ASSERT_EQ(submit(1).status, 201);
  for (const char* query :
       {"limit=0", "limit=1001", "limit=x", "limit=-1", "limit=", "order=up", "order=", "sort=secret", "cursor=%27"}) {
    EXPECT_EQ(get(std::string("/api/v1/sweeps/tiny/jobs?") + query).status, 400) << query;
  }
  EXPECT_EQ(get("/api/v1/sweeps/tiny/jobs?limit=%zz").status, 400);
}

TEST_F(ApiTest, ASweepIsPausedChangedAndResumed) {
  start();
  ASSERT_EQ(submit(1).status, 201);
  const auto change = [&](const json& body) { return post("/api/v1/sweeps/tiny/change", body); };
  const json none = {{"concurrency", 0}, {"wall", 0}, {"job_wall", 0}, {"failed", 0}};
  EXPECT_EQ(get_json("/api/v1/sweeps/tiny")["limits"], none);
  json answer = json::parse(change({{"paused", true}, {"priority", 7}}).body);
  EXPECT_EQ(answer["state"], "paused");
  EXPECT_EQ(answer["priority"], 7);
  const std::string job = get_json("/api/v1/sweeps/tiny/jobs")["items"][0]["id"];
  const auto explained = [&] { return get_json("/api/v1/sweeps/tiny/jobs/" + job)["explain"].get<std::string>(); };
  EXPECT_NE(explained().find("fathom resume tiny"), std::string::npos);
  answer = json::parse(change({{"paused", false}, {"limits", {{"concurrency", 2}, {"wall", 3600}}}}).body);
  EXPECT_EQ(answer["state"], "running");
  EXPECT_EQ(answer["limits"]["concurrency"], 2);
  EXPECT_EQ(answer["limits"]["wall"], 3600);
  EXPECT_EQ(explained().find("fathom resume"), std::string::npos);
  for (const json& wrong :
       {json::object(), json::array(), json{{"paused", 1}}, json{{"priority", 101}}, json{{"limits", json::object()}},
        json{{"limits", {{"concurrency", -1}}}}, json{{"limits", {{"walls", 3}}}}, json{{"weights", 3}},
        json{{"limits", {{"failed", 18446744073709551615ULL}}}}})
    EXPECT_EQ(change(wrong).status, 400) << wrong.dump();
  EXPECT_EQ(post("/api/v1/sweeps/nothing/change", {{"paused", true}}).status, 404);
  ASSERT_EQ(post("/api/v1/sweeps/tiny/cancel").status, 202);
  EXPECT_EQ(change({{"paused", true}}).status, 409);
}

TEST_F(ApiTest, JobsThatHaveNoResultAreOpenedAgain) {
  start();
  ASSERT_EQ(submit(2).status, 201);
  const std::string sweep = "/api/v1/sweeps/tiny";
  const std::string id = get_json(sweep + "/jobs")["items"][0]["id"], job = sweep + "/jobs/" + id;
  EXPECT_EQ(post(job + "/rerun").status, 409);  // has not ended
  ASSERT_EQ(post(job + "/cancel").status, 202);
  const net::Headers key = {{"Idempotency-Key", "k"}};
  const json opened = json::parse(post(job + "/rerun", json::object(), key).body);
  EXPECT_EQ(opened["reopened"], 1);
  EXPECT_EQ(opened["state"], "ready");
  EXPECT_EQ(opened["generation"], 2);
  EXPECT_EQ(opened["cause"], "");
  EXPECT_TRUE(opened["ended"].is_null());
  EXPECT_EQ(get_json(job + "/events")["items"].back()["type"], "jobs_reopened");
  EXPECT_EQ(json::parse(post(job + "/rerun", json::object(), key).body)["reopened"], 1);
  EXPECT_EQ(get_json(job)["generation"], 2);
  EXPECT_EQ(json::parse(post(sweep + "/retry").body)["reopened"], 0);
  ASSERT_EQ(post(sweep + "/cancel").status, 202);
  EXPECT_EQ(get_json(sweep)["state"], "cancelled");
  ASSERT_EQ(post(job + "/rerun").status, 200);
  const json after = get_json(sweep);
  EXPECT_EQ(after["state"], "running");
  EXPECT_TRUE(after["ended"].is_null());
  EXPECT_EQ(after["counts"], (json{{"cancelled", 1}, {"ready", 1}}));
  EXPECT_EQ(post(sweep + "/jobs/0000000000000000/rerun").status, 404);
  EXPECT_EQ(post("/api/v1/sweeps/nothing/retry").status, 404);
  EXPECT_EQ(post(sweep + "/retry", json::object(), {{"Idempotency-Key", std::string(201, 'k')}}).status, 400);
}

TEST_F(ApiTest, TheDocumentDescribesEveryRoute) {
  start();
  const json document = get_json("/api/v1/openapi.json");
  EXPECT_EQ(document["openapi"], "3.1.0");
  for (const Route& route : coordinator_->routes()) {
    std::string path = route.pattern;
    if (const auto dots = path.find("..."); dots != std::string::npos) path.erase(dots, 3);
    const std::string method = route.method == "GET" ? "get" : route.method == "POST" ? "post" : "delete";
    EXPECT_TRUE(document["paths"].contains(path) && document["paths"][path].contains(method)) << path;
  }
  EXPECT_TRUE(document["paths"]["/healthz"]["get"]["security"].empty());
}

TEST_F(ApiTest, TheDashboardIsBuiltIn) {
  start();
  const auto page = must(stranger()->request("GET", "/"));
  EXPECT_EQ(page.status, 200);
  EXPECT_EQ(page.headers.at("content-type"), "text/html; charset=utf-8");
  EXPECT_NE(page.headers.at("content-security-policy").find("default-src 'none'"), std::string::npos);
  const auto script = must(stranger()->request("GET", "/static/app.js"));
  EXPECT_EQ(script.headers.at("content-type"), "text/javascript; charset=utf-8");
  const auto again = must(stranger()->request("GET", "/static/app.js", {{"If-None-Match", script.headers.at("etag")}}));
  EXPECT_EQ(again.status, 304);
  EXPECT_TRUE(again.body.empty());
  EXPECT_EQ(must(stranger()->request("GET", "/static/../token")).status, 400);
  EXPECT_EQ(must(stranger()->request("GET", "/static/missing.js")).status, 404);
}

TEST_F(ApiTest, MetricsAreInPrometheusForm) {
  start();
  ASSERT_EQ(submit(3).status, 201);
  const auto answer = get("/metrics");
  EXPECT_EQ(answer.headers.at("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_NE(answer.body.find("fathom_jobs{state=\"ready\"} 3"), std::string::npos) << answer.body;
  EXPECT_NE(answer.body.find("fathom_coordinator_epoch 1"), std::string::npos);
  EXPECT_NE(answer.body.find("fathom_fsync_seconds_bucket"), std::string::npos);
}

}  // namespace
}  // namespace fathom::api
