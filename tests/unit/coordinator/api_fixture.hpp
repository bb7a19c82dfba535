// A real coordinator on a free loopback port, a client for it, and a worker that speaks the wire protocol by hand.
// Thread: the test's; the worker's frames arrive on a thread of its own.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <fstream>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <thread>

#include "common/files.hpp"
#include "common/net/client_identity.hpp"
#include "common/net/connection.hpp"
#include "common/net/https_client.hpp"
#include "common/net/secrets.hpp"
#include "common/protocol/frame.hpp"
#include "common/protocol/wire.pb.h"
#include "coordinator/api/coordinator.hpp"
#include "coordinator/api/router.hpp"

namespace fathom::api {

using nlohmann::json;

template <class T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  return std::move(result).value();
}

// Stands still until `passed` is changed.
struct FakeClock final : Clock {
  [[nodiscard]] TimePoint now() const override { return TimePoint{passed}; }
  [[nodiscard]] WallTime wall() const override { return WallTime{Millis{1'700'000'000'000} + passed}; }
  Millis passed{0};
};

class TempFolder {
 public:
  TempFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "fathom-api-XXXXXX").string();
    if (::mkdtemp(name.data()) != nullptr) path_ = name;
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// A sweep of `jobs` adapter jobs without early stopping.
inline std::string sweep_yaml(int jobs, const std::string& name = "tiny") {
  std::string seeds;
  for (int i = 1; i <= jobs; ++i) seeds += (i == 1 ? "" : ", ") + std::to_string(i);
  return "version: 1\nname: " + name +
         "\nmodel: {path: models/minilm}\n"
         "tasks:\n  mr: {data: mr.tsv, split: 0.1, text: text, label: label}\n"
         "train: {lr: 1e-3, epochs: 2}\nseeds: [" +
         seeds + "]\nstages:\n  adapter: {drop: {standard: true}}\n";
}

// The state folder, and a coordinator in it that can be ended and started again.
class ApiTest : public ::testing::Test {
 protected:
  ApiTest() {
    settings_.listen = "127.0.0.1:0";
    settings_.state = folder_ / "state";
    settings_.lease = Millis(2000);
    settings_.heartbeat = Millis(400);
    settings_.http_threads = 2;
  }

  void start() { coordinator_ = must(Coordinator::start(settings_, "test")); }
  void stop() { coordinator_.reset(); }
  [[nodiscard]] std::string ca_file() const { return settings_.state + "/coordinator/tls/ca.pem"; }

  [[nodiscard]] std::string token() const {
    std::string text = must(read_file(settings_.state + "/token"));
    return text.substr(0, text.find('\n'));
  }

  [[nodiscard]] net::HttpsOptions client_options(const std::string& bearer) const {
    net::HttpsOptions options;
    options.host = "127.0.0.1";
    options.port = coordinator_->endpoint().port;
    options.tls = must(net::client_context({ca_file(), ""}, net::kAlpnHttp));
    options.expect_host = "127.0.0.1";
    options.bearer = bearer;
    options.timeout = Millis(20'000);
    return options;
  }
  std::unique_ptr<net::HttpsClient> client() { return std::make_unique<net::HttpsClient>(client_options(token())); }
  std::unique_ptr<net::HttpsClient> stranger() { return std::make_unique<net::HttpsClient>(client_options("")); }

  net::Response get(const std::string& path) { return must(client()->request("GET", path)); }
  json get_json(const std::string& path) {
    const net::Response answer = get(path);
    EXPECT_EQ(answer.status, 200) << path << ": " << answer.body;
    return json::parse(answer.body, nullptr, false);
  }
  net::Response post(const std::string& path, const json& body = json::object(), const net::Headers& headers = {}) {
    return must(client()->request("POST", path, headers, body.dump()));
  }
  net::Response submit(int jobs, const std::string& name = "tiny", const std::string& key = "") {
    net::Headers headers;
    if (!key.empty()) headers["Idempotency-Key"] = key;
    return post("/api/v1/sweeps", {{"yaml", sweep_yaml(jobs, name)}, {"file", name + ".yaml"}}, headers);
  }

  // The lines of the audit log so far: none before the first is written, which is after the answer it is about.
  [[nodiscard]] std::vector<json> audit() const {
    std::vector<json> lines;
    std::ifstream file(settings_.state + "/coordinator/audit.jsonl");
    for (std::string line; std::getline(file, line) && !file.eof();) lines.push_back(json::parse(line));
    return lines;
  }

  TempFolder folder_;
  coordinator::Settings settings_;
  std::unique_ptr<Coordinator> coordinator_;
};

// A private key and the certificate it was given for.
struct WorkerIdentity {
  std::string key, chain;
};

// The worker's side of the protocol, one connection. It shows a certificate when it is given one.
class FakeWorker {
 public:
  FakeWorker(const std::string& state, std::uint16_t port, const WorkerIdentity& identity = {})
      : work_(boost::asio::make_work_guard(io_)), thread_([this] { io_.run(); }) {
    net::ConnectOptions options;
    options.host = "127.0.0.1";
    options.port = port;
    options.tls = must(net::client_context({state + "/coordinator/tls/ca.pem", ""}, net::kAlpnWorker));
    if (!identity.chain.empty()) must(net::present(options.tls, identity.chain, identity.key));
    std::promise<Result<std::shared_ptr<net::Connection>>> connected;
    net::connect(io_, options, [&](auto result) { connected.set_value(std::move(result)); });
    connection_ = must(connected.get_future().get());
    net::Connection::Callbacks callbacks;
    callbacks.on_envelope = [this](wire::Envelope& envelope) { took(envelope); };
    callbacks.on_close = [this](const net::CloseReason& reason) {
      const std::lock_guard lock(mutex_);
      closed_ = reason;
      changed_.notify_all();
    };
    connection_->start(std::move(callbacks));
  }
  ~FakeWorker() {
    connection_->close("test over");
    io_.stop();
    thread_.join();
  }
  FakeWorker(const FakeWorker&) = delete;
  FakeWorker& operator=(const FakeWorker&) = delete;

  static wire::Hello hello_of(const std::string& uid, std::uint32_t slots) {
    wire::Hello hello;
    hello.set_protocol(kProtocolVersion);
    hello.set_worker_uid(uid);
    hello.set_name("worker " + uid);
    wire::Device& device = *hello.add_devices();
    device.set_name("cpu:0");
    device.set_kind("cpu");
    device.set_slots(slots);
    return hello;
  }

  void send(const wire::Hello& hello) {
    wire::Envelope envelope;
    *envelope.mutable_hello() = hello;
    connection_->send(envelope);
  }
  wire::Welcome join(const std::string& uid, std::uint32_t slots) {
    send(hello_of(uid, slots));
    return wait(wire::Envelope::kWelcome).welcome();
  }
  void heartbeat(std::vector<wire::Fence> held) {
    wire::Envelope envelope;
    envelope.mutable_heartbeat()->set_number(++heartbeats_);
    for (const wire::Fence& fence : held) {
      wire::Held& one = *envelope.mutable_heartbeat()->add_held();
      *one.mutable_fence() = fence;
      one.set_running(true);
    }
    connection_->send(envelope);
  }
  void send(const wire::Item& item) {
    wire::Envelope envelope;
    *envelope.mutable_items()->add_items() = item;
    connection_->send(envelope);
  }
  net::Connection& connection() { return *connection_; }
  // First contact (with a token) or renewal (without): the frame that asks.
  void ask(const std::string& token, const std::string& uid, const std::string& key) {
    wire::Envelope envelope;
    wire::CertificateRequest& request = *envelope.mutable_certificate_request();
    request.set_join_token(token);
    request.set_worker_uid(uid);
    request.set_name("worker " + uid);
    request.set_request(must(net::make_request(key)));
    connection_->send(envelope);
  }

  // The next frame of this kind; frames of other kinds are kept. Throws after ten seconds or at the end.
  wire::Envelope wait(wire::Envelope::BodyCase kind) {
    std::unique_lock lock(mutex_);
    wire::Envelope found;
    const bool there = changed_.wait_for(lock, std::chrono::seconds(10), [&] {
      for (auto it = inbox_.begin(); it != inbox_.end(); ++it) {
        if (it->body_case() != kind) continue;
        found = std::move(*it);
        inbox_.erase(it);
        return true;
      }
      return closed_.has_value();
    });
    if (!there || found.body_case() != kind) throw std::runtime_error("no frame of kind " + std::to_string(kind));
    return found;
  }
  bool has(wire::Envelope::BodyCase kind) {
    const std::lock_guard lock(mutex_);
    return std::any_of(inbox_.begin(), inbox_.end(), [&](const auto& one) { return one.body_case() == kind; });
  }
  bool wait_closed(Millis time = Millis(10'000)) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, time, [&] { return closed_.has_value(); });
  }
  // Uploads an artifact in one chunk; the coordinator's last word on it.
  wire::ArtifactHave upload(const std::string& sha256, const std::string& bytes) {
    wire::Envelope put;
    put.mutable_artifact_put()->set_sha256(sha256);
    put.mutable_artifact_put()->set_size(bytes.size());
    connection_->send(put);
    wire::ArtifactHave have = wait(wire::Envelope::kArtifactHave).artifact_have();
    if (have.committed() || !have.error().empty()) return have;
    wire::Envelope chunk;
    chunk.mutable_artifact_chunk()->set_sha256(sha256);
    chunk.mutable_artifact_chunk()->set_offset(have.offset());
    chunk.mutable_artifact_chunk()->set_data(bytes.substr(have.offset()));
    chunk.mutable_artifact_chunk()->set_last(true);
    connection_->send(chunk);
    return wait(wire::Envelope::kArtifactHave).artifact_have();
  }

 private:
  void took(wire::Envelope& envelope) {
    const std::lock_guard lock(mutex_);
    inbox_.push_back(std::move(envelope));
    changed_.notify_all();
  }

  boost::asio::io_context io_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::shared_ptr<net::Connection> connection_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<wire::Envelope> inbox_;
  std::optional<net::CloseReason> closed_;
  std::uint64_t heartbeats_ = 0;
  std::thread thread_;
};

// A coordinator with workers that it knows.
class WorkerApiTest : public ApiTest {
 protected:
  // Somebody without a certificate, or with this one.
  std::unique_ptr<FakeWorker> line(const WorkerIdentity& identity = {}) {
    return std::make_unique<FakeWorker>(settings_.state, coordinator_->endpoint().port, identity);
  }
  // The unused token for workers of this machine.
  [[nodiscard]] std::string join_token() const { return must(read_file(settings_.state + "/join-token")); }
  // What a join token gives; throws when it is refused.
  WorkerIdentity enroll(const std::string& uid, const std::string& token) {
    WorkerIdentity made{must(net::make_key()), ""};
    auto asking = line();
    asking->ask(token, uid, made.key);
    made.chain = asking->wait(wire::Envelope::kCertificateIssued).certificate_issued().chain();
    return made;
  }
  // A line of the worker `uid`, which joins the first time.
  std::unique_ptr<FakeWorker> worker(const std::string& uid = "w1") {
    if (!identities_.contains(uid)) identities_[uid] = enroll(uid, join_token());
    return line(identities_[uid]);
  }
  std::map<std::string, WorkerIdentity> identities_;
};

inline wire::Item item_of(const wire::Fence& fence, std::uint64_t sequence) {
  wire::Item item;
  *item.mutable_fence() = fence;
  item.set_sequence(sequence);
  return item;
}

}  // namespace fathom::api
