#include <fstream>

#include "common/sha256.hpp"
#include "tests/unit/coordinator/api_fixture.hpp"

namespace fathom::api {
namespace {

using BodyCase = wire::Envelope::BodyCase;

class WorkerJobTest : public WorkerApiTest {
 protected:
  std::string state_of(const std::string& job, const std::string& sweep = "tiny") {
    return get_json("/api/v1/sweeps/" + sweep + "/jobs/" + job)["state"];
  }
  // Until the read model shows it; durable events become visible a moment later.
  bool becomes(const std::string& job, const std::string& state) {
    for (int i = 0; i < 200; ++i) {
      if (state_of(job) == state) return true;
      std::this_thread::sleep_for(Millis(25));
    }
    return false;
  }
};

wire::Item finished(const wire::Fence& fence, std::uint64_t sequence, const std::string& sha256, std::uint64_t size) {
  wire::Item item = item_of(fence, sequence);
  item.mutable_finished()->set_result(R"({"objective":0.75,"epoch":1,"rows":[]})");
  wire::File& file = *item.mutable_finished()->add_files();
  file.set_path("fathom.json");
  file.set_sha256(sha256);
  file.set_size(size);
  return item;
}

TEST_F(WorkerJobTest, WhoDoesNotBeginWithAHelloIsRefused) {
  start();
  auto stranger = line();
  stranger->heartbeat({});
  EXPECT_EQ(stranger->wait(BodyCase::kRefused).refused().code(), "unauthenticated");
  EXPECT_TRUE(stranger->wait_closed());
}

TEST_F(WorkerJobTest, AnOldProtocolAndDevicesThatMakeNoSenseAreRefused) {
  start();
  auto old = worker();
  wire::Hello hello = FakeWorker::hello_of("w1", 1);
  hello.set_protocol(0);
  old->send(hello);
  EXPECT_EQ(old->wait(BodyCase::kRefused).refused().code(), "version");
  auto empty = worker();
  hello = FakeWorker::hello_of("w1", 0);
  empty->send(hello);
  EXPECT_TRUE(empty->wait(BodyCase::kRefused).refused().message().find("slots") != std::string::npos);
}

TEST_F(WorkerJobTest, OneJobFromAssignmentToResult) {
  start();
  auto w = worker();
  const wire::Welcome welcome = w->join("w1", 1);
  EXPECT_EQ(welcome.epoch(), 1U);
  EXPECT_EQ(welcome.lease_ms(), 2000U);
  ASSERT_EQ(submit(1).status, 201);
  const wire::Assign assign = w->wait(BodyCase::kAssign).assign();
  EXPECT_EQ(assign.device(), "cpu:0");
  EXPECT_EQ(json::parse(assign.settings())["seed"], 1);

  wire::Item started = item_of(assign.fence(), 1);
  started.mutable_started()->set_device("cpu");
  w->send(started);
  EXPECT_EQ(w->wait(BodyCase::kItemAck).item_ack().sequence(), 1U);
  EXPECT_TRUE(becomes(assign.job_id(), "running"));

  const std::string bytes = "{\"format\": 1}";
  const std::string sha = sha256_hex(bytes);
  EXPECT_TRUE(w->upload(sha, bytes).committed());
  EXPECT_TRUE(w->upload(sha, bytes).committed()) << "what is there is not sent again";
  w->send(finished(assign.fence(), 2, sha, bytes.size()));
  const wire::ItemAck ack = w->wait(BodyCase::kItemAck).item_ack();
  EXPECT_EQ(ack.sequence(), 2U);
  EXPECT_FALSE(ack.late());
  EXPECT_TRUE(becomes(assign.job_id(), "succeeded"));
  EXPECT_EQ(get("/api/v1/artifacts/" + sha).body, bytes);
  EXPECT_EQ(must(client()->request("HEAD", "/api/v1/artifacts/" + sha)).body, "");

  w->send(finished(assign.fence(), 2, sha, bytes.size()));
  EXPECT_EQ(w->wait(BodyCase::kItemAck).item_ack().sequence(), 2U) << "a repeated item is acknowledged";
  EXPECT_EQ(get_json("/api/v1/sweeps/tiny")["state"], "succeeded");
}

TEST_F(WorkerJobTest, AnItemWhoseFileIsMissingIsNeverAcknowledged) {
  start();
  auto w = worker();
  w->join("w1", 1);
  ASSERT_EQ(submit(1).status, 201);
  const wire::Assign assign = w->wait(BodyCase::kAssign).assign();
  w->send(finished(assign.fence(), 1, std::string(64, 'a'), 10));
  EXPECT_TRUE(w->wait_closed());
  EXPECT_FALSE(w->has(BodyCase::kItemAck));
  EXPECT_NE(state_of(assign.job_id()), "succeeded");
}

TEST_F(WorkerJobTest, FilesGoBothWaysInChunksAndAreChecked) {
  start();
  auto w = worker();
  w->join("w1", 1);
  std::string bytes(3'000'000, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 31 % 251);
  const std::string sha = sha256_hex(bytes);
  ASSERT_TRUE(w->upload(sha, bytes).committed());
  const auto wrong = w->upload(std::string(64, 'b'), "something else");
  EXPECT_FALSE(wrong.committed());
  EXPECT_FALSE(wrong.error().empty());

  wire::Envelope ask;
  ask.mutable_artifact_get()->set_sha256(sha);
  ask.mutable_artifact_get()->set_offset(1000);
  w->connection().send(ask);
  std::string got = bytes.substr(0, 1000);
  for (bool last = false; !last;) {
    const wire::ArtifactChunk chunk = w->wait(BodyCase::kArtifactChunk).artifact_chunk();
    EXPECT_EQ(chunk.offset(), got.size());
    got += chunk.data();
    last = chunk.last();
  }
  EXPECT_EQ(got, bytes);
  const std::string file = folder_ / "download";
  EXPECT_EQ(must(client()->download("/api/v1/artifacts/" + sha, file)).status, 200);
  EXPECT_EQ(must(read_file(file)), bytes);
  ask.mutable_artifact_get()->set_sha256(std::string(64, 'c'));
  w->connection().send(ask);
  EXPECT_FALSE(w->wait(BodyCase::kArtifactChunk).artifact_chunk().error().empty());
}

// Row 22: a bit of a stored file has flipped. It is given to nobody, kept aside, and can be uploaded again.
TEST_F(WorkerJobTest, ADamagedArtifactIsNeverGivenOutAndPutAside) {
  start();
  auto w = worker();
  w->join("w1", 1);
  std::string bytes(2'500'000, 'x');
  const std::string sha = sha256_hex(bytes);
  ASSERT_TRUE(w->upload(sha, bytes).committed());
  const std::filesystem::path artifacts = std::filesystem::path(folder_ / "state") / "coordinator" / "artifacts";
  bytes[2'000'000] ^= 1;
  std::ofstream(artifacts / sha.substr(0, 2) / sha, std::ios::binary) << bytes;
  wire::Envelope ask;
  ask.mutable_artifact_get()->set_sha256(sha);
  const auto error = [&] {
    w->connection().send(ask);
    for (;;) {
      const wire::ArtifactChunk chunk = w->wait(BodyCase::kArtifactChunk).artifact_chunk();
      EXPECT_FALSE(chunk.last());
      if (!chunk.error().empty()) return chunk.error();
    }
  };
  EXPECT_NE(error().find("damaged"), std::string::npos);
  EXPECT_TRUE(std::filesystem::exists(artifacts / "damaged" / sha));
  EXPECT_NE(error().find("no artifact"), std::string::npos);
  bytes[2'000'000] ^= 1;
  EXPECT_TRUE(w->upload(sha, bytes).committed());
}

TEST_F(WorkerJobTest, MetricPointsAndLogTextAreStoredAndAcknowledged) {
  start();
  auto w = worker();
  w->join("w1", 1);
  ASSERT_EQ(submit(1).status, 201);
  const wire::Assign assign = w->wait(BodyCase::kAssign).assign();
  wire::Item started = item_of(assign.fence(), 1);
  started.mutable_started()->set_device("cpu");
  w->send(started);  // a job that has not begun has no curve
  w->wait(BodyCase::kItemAck);
  EXPECT_TRUE(becomes(assign.job_id(), "running"));
  wire::Envelope envelope;
  wire::MetricBatch& batch = *envelope.mutable_metrics();
  *batch.mutable_fence() = assign.fence();
  batch.set_first_sequence(1);
  for (int step = 1; step <= 3; ++step) {
    wire::MetricPoint& point = *batch.add_points();
    point.set_name("objective");
    point.set_step(static_cast<std::uint64_t>(step));
    point.set_value(step * 0.25);
    point.set_depth(-1);
  }
  w->connection().send(envelope);
  EXPECT_EQ(w->wait(BodyCase::kMetricAck).metric_ack().last_sequence(), 3U);
  const json series = get_json("/api/v1/sweeps/tiny/jobs/" + assign.job_id() + "/metrics")["series"];
  ASSERT_EQ(series.size(), 1U);
  EXPECT_TRUE(series[0]["depth"].is_null());
  EXPECT_EQ(series[0]["points"][2][1], 0.75);
  EXPECT_EQ(get_json("/api/v1/sweeps/tiny/curves")["items"][0]["points"].size(), 3U);

  // The same of somebody else's attempt: taken off the sender's hands, but not stored.
  batch.mutable_fence()->set_lease(assign.fence().lease() + 7);
  batch.mutable_points(0)->set_name("forged");
  w->connection().send(envelope);
  EXPECT_EQ(w->wait(BodyCase::kMetricAck).metric_ack().last_sequence(), 3U);
  EXPECT_EQ(get_json("/api/v1/sweeps/tiny/jobs/" + assign.job_id() + "/metrics")["series"].size(), 1U);

  wire::Envelope log;
  *log.mutable_log()->mutable_fence() = assign.fence();
  log.mutable_log()->set_text("epoch 1 <b>done</b>\n");
  w->connection().send(log);
  EXPECT_EQ(w->wait(BodyCase::kLogAck).log_ack().offset(), 20U);
  const auto text = get("/api/v1/sweeps/tiny/jobs/" + assign.job_id() + "/log");
  EXPECT_EQ(text.body, "epoch 1 <b>done</b>\n");
  EXPECT_EQ(text.headers.at("content-type"), "text/plain; charset=utf-8");
}

TEST_F(WorkerJobTest, ASilentWorkerLosesItsConnectionAndThenItsLease) {
  settings_.lease = Millis(1200);
  settings_.heartbeat = Millis(200);
  start();
  auto silent = worker();
  silent->join("w1", 1);
  ASSERT_EQ(submit(1).status, 201);
  const wire::Assign first = silent->wait(BodyCase::kAssign).assign();
  EXPECT_TRUE(silent->wait_closed(Millis(5000)));
  auto other = worker("w2");
  other->join("w2", 1);
  std::atomic<bool> done{false};
  std::thread beat([&] {
    while (!done) {
      other->heartbeat({});
      std::this_thread::sleep_for(Millis(100));
    }
  });
  const wire::Assign second = other->wait(BodyCase::kAssign).assign();
  done = true;
  beat.join();
  EXPECT_EQ(second.job_id(), first.job_id());
  EXPECT_EQ(second.fence().attempt(), first.fence().attempt() + 1);
  EXPECT_NE(get("/metrics").body.find("fathom_leases_expired_total 1"), std::string::npos);
}

TEST_F(WorkerJobTest, AWorkerThatComesBackTakesOverFromItsOldConnection) {
  start();
  auto first = worker();
  const auto number = first->join("w1", 1).worker();
  ASSERT_EQ(submit(1).status, 201);
  const wire::Assign assign = first->wait(BodyCase::kAssign).assign();
  auto second = worker();
  wire::Hello hello = FakeWorker::hello_of("w1", 1);
  *hello.add_held()->mutable_fence() = assign.fence();
  hello.mutable_held(0)->set_running(true);
  second->send(hello);
  EXPECT_EQ(second->wait(BodyCase::kWelcome).welcome().worker(), number);
  EXPECT_TRUE(first->wait_closed());
  const json workers = get_json("/api/v1/workers");
  ASSERT_EQ(workers["items"].size(), 1U);
  EXPECT_EQ(workers["items"][0]["state"], "ready");
  EXPECT_GT(workers["items"][0]["last_seen_ms"].get<std::int64_t>(), 0);
}

TEST_F(WorkerJobTest, ARunningJobIsStoppedByACancel) {
  start();
  auto w = worker();
  w->join("w1", 1);
  ASSERT_EQ(submit(1).status, 201);
  const wire::Assign assign = w->wait(BodyCase::kAssign).assign();
  const auto answer = post("/api/v1/sweeps/tiny/jobs/" + assign.job_id() + "/cancel");
  EXPECT_EQ(json::parse(answer.body)["state"], "stopping");
  const wire::Stop stop = w->wait(BodyCase::kStop).stop();
  EXPECT_EQ(stop.cause(), "cancel");
  wire::Item stopped = item_of(assign.fence(), 1);
  stopped.mutable_stopped()->set_epoch(0);
  w->send(stopped);
  w->wait(BodyCase::kItemAck);
  EXPECT_TRUE(becomes(assign.job_id(), "cancelled"));
}

TEST_F(WorkerJobTest, BytesThatAreNoFrameEndOnlyTheirConnection) {
  start();
  auto w = worker();
  w->join("w1", 1);
  wire::Envelope wrong;
  wrong.mutable_trainer_job();
  w->connection().send(wrong);
  EXPECT_TRUE(w->wait_closed());
  EXPECT_EQ(get("/healthz").status, 200);
}

}  // namespace
}  // namespace fathom::api
