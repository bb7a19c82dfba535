#include <algorithm>

#include "tests/unit/coordinator/api_fixture.hpp"

namespace fathom::api {
namespace {

TEST_F(ApiTest, SubmitListShowAndCancel) {
  start();
  const auto submitted = submit(3);
  ASSERT_EQ(submitted.status, 201) << submitted.body;
  const json created = json::parse(submitted.body);
  EXPECT_EQ(created["id"], "tiny");
  EXPECT_EQ(created["jobs"], 3);
  EXPECT_TRUE(created["notes"].is_array());

  EXPECT_EQ(get_json("/api/v1/sweeps")["total"], 1);
  EXPECT_EQ(get_json("/api/v1/sweeps/tiny")["counts"]["ready"], 3);
  EXPECT_EQ(get("/api/v1/sweeps/tiny/yaml").body, sweep_yaml(3));
  EXPECT_TRUE(get_json("/api/v1/sweeps/tiny/resolved").is_object());
  const json jobs = get_json("/api/v1/sweeps/tiny/jobs?sort=seed&order=desc&limit=2");
  EXPECT_EQ(jobs["total"], 3);
  ASSERT_EQ(jobs["items"].size(), 2U);
  EXPECT_EQ(jobs["items"][0]["seed"], 3);
  EXPECT_TRUE(jobs["next"].is_string());

  const std::string job = "/api/v1/sweeps/tiny/jobs/" + jobs["items"][0]["id"].get<std::string>();
  const json shown = get_json(job);
  EXPECT_EQ(shown["state"], "ready");
  EXPECT_EQ(shown["settings"]["seed"], 3);
  EXPECT_FALSE(shown["explain"].get<std::string>().empty());
  EXPECT_TRUE(get_json(job + "/events")["items"].is_array());
  EXPECT_TRUE(get_json(job + "/metrics")["series"].empty());
  EXPECT_EQ(get(job + "/log").body, "");
  EXPECT_TRUE(get_json("/api/v1/sweeps/tiny/curves")["items"].empty());
  EXPECT_TRUE(get_json("/api/v1/sweeps/tiny/results")["items"].empty());

  const auto cancelled = post(job + "/cancel");
  EXPECT_EQ(cancelled.status, 202);
  EXPECT_EQ(json::parse(cancelled.body)["state"], "cancelled");
  const auto all = post("/api/v1/sweeps/tiny/cancel");
  EXPECT_EQ(all.status, 202);
  EXPECT_EQ(json::parse(all.body)["state"], "cancelled");
  EXPECT_EQ(json::parse(all.body)["counts"]["cancelled"], 3);
  EXPECT_EQ(post("/api/v1/sweeps/other/cancel").status, 404);
  EXPECT_EQ(post("/api/v1/sweeps/tiny/jobs/0123456789abcdef/cancel").status, 404);
}

TEST_F(ApiTest, ASecondSweepOfTheNameGetsANumber) {
  start();
  EXPECT_EQ(json::parse(submit(1).body)["id"], "tiny");
  EXPECT_EQ(json::parse(submit(2).body)["id"], "tiny-2");
}

TEST_F(ApiTest, AnIdempotencyKeyIsRememberedOverARestart) {
  start();
  const auto first = submit(2, "tiny", "key-1");
  ASSERT_EQ(first.status, 201);
  EXPECT_EQ(submit(2, "tiny", "key-1").body, first.body);
  stop();
  start();
  const auto again = submit(2, "tiny", "key-1");
  EXPECT_EQ(again.status, 201);
  EXPECT_EQ(again.body, first.body);
  EXPECT_EQ(submit(3, "tiny", "key-1").status, 409);
  EXPECT_EQ(get_json("/api/v1/sweeps")["total"], 1);
}

TEST_F(ApiTest, WhatWasAnsweredIsThereAfterARestart) {
  start();
  ASSERT_EQ(submit(2).status, 201);
  ASSERT_EQ(post("/api/v1/sweeps/tiny/cancel").status, 202);
  const std::string before = token();
  stop();
  start();
  EXPECT_EQ(token(), before);
  EXPECT_EQ(get_json("/api/v1/sweeps/tiny")["state"], "cancelled");
  EXPECT_NE(get("/metrics").body.find("fathom_coordinator_epoch 2"), std::string::npos);
}

TEST_F(ApiTest, EveryMistakeOfAFileComesWithItsLine) {
  start();
  const auto answer =
      post("/api/v1/sweeps", {{"yaml", "version: 1\nnam: x\nmodel: {path: m}\n"}, {"file", "bad.yaml"}});
  EXPECT_EQ(answer.status, 422);
  EXPECT_EQ(answer.headers.at("content-type"), "application/problem+json");
  const json body = json::parse(answer.body);
  EXPECT_EQ(body["status"], 422);
  ASSERT_FALSE(body["errors"].empty());
  EXPECT_EQ(body["errors"][0]["file"], "bad.yaml");
  const auto names_line_2 = [](const json& error) { return error["line"] == 2; };
  EXPECT_TRUE(std::any_of(body["errors"].begin(), body["errors"].end(), names_line_2)) << body["errors"];
  EXPECT_EQ(get_json("/api/v1/sweeps")["total"], 0);
}

TEST_F(ApiTest, ABodyThatIsNoSubmissionIsRefused) {
  start();
  const std::vector<json> bodies = {json::array(),
                                    json::object(),
                                    {{"yaml", 1}},
                                    {{"yaml", "x"}, {"sets", json::array()}},
                                    {{"yaml", "x"}, {"set", "lr=1"}},
                                    {{"yaml", "x"}, {"set", {1}}},
                                    {{"yaml", "x"}, {"includes", {{"a", 1}}}}};
  for (const json& body : bodies) EXPECT_EQ(post("/api/v1/sweeps", body).status, 400) << body;
  EXPECT_EQ(must(client()->request("POST", "/api/v1/sweeps", {}, "{")).status, 400);
}

TEST_F(ApiTest, IncludedFilesComeAlong) {
  start();
  json body = {
      {"yaml", "include: base.yaml\nseeds: [1, 2, 3, 4]\n"}, {"file", "top.yaml"}, {"set", {"train.epochs=1"}}};
  EXPECT_EQ(post("/api/v1/sweeps", body).status, 422) << "no path is opened here";
  body["includes"] = {{"base.yaml", sweep_yaml(1, "with-base")}};
  const auto answer = post("/api/v1/sweeps", body);
  ASSERT_EQ(answer.status, 201) << answer.body;
  EXPECT_EQ(json::parse(answer.body)["id"], "with-base");
  EXPECT_EQ(json::parse(answer.body)["jobs"], 4);
}

TEST_F(ApiTest, ASweepLargerThanTheLimitIsRefused) {
  settings_.jobs = 2;
  start();
  EXPECT_EQ(submit(3).status, 422);
  EXPECT_EQ(submit(2).status, 201);
}

}  // namespace
}  // namespace fathom::api
