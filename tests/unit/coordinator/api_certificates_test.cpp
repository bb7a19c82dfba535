// Who may join as a worker: tokens that are used up, certificates that are bound to one worker, revocation.
#include <openssl/ssl.h>

#include <boost/asio/ssl/context.hpp>

#include "common/net/client_identity.hpp"
#include "common/net/listener.hpp"
#include "common/net/stream.hpp"
#include "coordinator/api/worker_registry.hpp"
#include "tests/unit/coordinator/api_fixture.hpp"

namespace fathom::api {
namespace {

using BodyCase = wire::Envelope::BodyCase;

class CertificatesTest : public WorkerApiTest {
 protected:
  std::string refusal(FakeWorker& line) { return line.wait(BodyCase::kRefused).refused().code(); }
  // The answer to a request with this token and key: a chain, or the code of the refusal.
  std::string answer(const std::string& token, const std::string& uid, const std::string& key) {
    auto asking = line();
    asking->ask(token, uid, key);
    asking->wait_closed();
    if (asking->has(BodyCase::kCertificateIssued))
      return asking->wait(BodyCase::kCertificateIssued).certificate_issued().chain();
    return refusal(*asking);
  }
  std::string named_token(const std::string& name) {
    const auto made = post("/api/v1/join-tokens", {{"name", name}});
    EXPECT_EQ(made.status, 201) << made.body;
    return json::parse(made.body)["token"];
  }
  // Whether there is a line about workers with this method and status.
  [[nodiscard]] bool audited_now(const std::string& method, int status, const std::string& who = "") const {
    for (const json& line : audit()) {
      if (line["role"] == "worker" && line["method"] == method && line["status"] == status && line["who"] == who)
        return true;
    }
    return false;
  }
  // It is written after the answer.
  [[nodiscard]] bool audited(const std::string& method, int status, const std::string& who = "") const {
    for (int i = 0; i < 500 && !audited_now(method, status, who); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return audited_now(method, status, who);
  }
};

TEST_F(CertificatesTest, AWrongJoinTokenIsRefusedBeforeAnyJobData) {
  start();
  ASSERT_EQ(submit(1).status, 201);
  auto stranger = line();
  stranger->ask("fathom-join-1." + std::string(64, '0') + "." + std::string(64, '1'), "w1", must(net::make_key()));
  EXPECT_EQ(refusal(*stranger), "unauthenticated");
  EXPECT_TRUE(stranger->wait_closed());
  EXPECT_FALSE(stranger->has(BodyCase::kAssign));
  EXPECT_FALSE(stranger->has(BodyCase::kWelcome));
  EXPECT_NE(get("/metrics").body.find("fathom_workers_refused_total 1"), std::string::npos);
  EXPECT_TRUE(audited("join", 401));
}

TEST_F(CertificatesTest, AHelloWithoutACertificateIsRefused) {
  start();
  auto stranger = line();
  stranger->send(FakeWorker::hello_of("w1", 1));
  EXPECT_EQ(refusal(*stranger), "unauthenticated");
  EXPECT_TRUE(stranger->wait_closed());
  EXPECT_TRUE(audited("hello", 401));
}

TEST_F(CertificatesTest, ATokenIsUsedUpByOneKey) {
  start();
  const std::string token = named_token("gpu-1");
  const std::string key = must(net::make_key());
  const std::string first = answer(token, "w1", key);
  ASSERT_TRUE(net::read_chain(first, key).ok()) << first;
  // Its answer may have been lost: the same key may ask again, another one may not.
  EXPECT_TRUE(net::read_chain(answer(token, "w1", key), key).ok());
  EXPECT_EQ(answer(token, "w2", must(net::make_key())), "unauthenticated");
  const json listed = get_json("/api/v1/join-tokens");
  ASSERT_EQ(listed["items"].size(), 1U);
  EXPECT_EQ(listed["items"][0]["used_by"], "w1");
  EXPECT_EQ(listed.dump().find(token.substr(80)), std::string::npos);
}

TEST_F(CertificatesTest, TheTokenOfTheStateFolderIsReplacedWhenItIsUsed) {
  start();
  const std::string first = join_token();
  enroll("w1", first);
  EXPECT_NE(join_token(), first);
  EXPECT_EQ(answer(first, "w2", must(net::make_key())), "unauthenticated");
  const std::string second = join_token();
  stop();
  start();
  EXPECT_EQ(join_token(), second);  // unused: good over a restart
  enroll("w2", second);
}

TEST_F(CertificatesTest, AUidBelongsToTheKeyThatHasIt) {
  start();
  identities_["w1"] = enroll("w1", join_token());
  EXPECT_EQ(answer(join_token(), "w1", must(net::make_key())), "unauthenticated");
  // Nor does a certificate of w1 make anybody w2.
  auto w = line(identities_["w1"]);
  w->send(FakeWorker::hello_of("w2", 1));
  EXPECT_EQ(refusal(*w), "unauthenticated");
  EXPECT_TRUE(audited("hello", 401, "w1"));
}

TEST_F(CertificatesTest, ACertificateOutlivesTheCoordinatorAndNeedsNoToken) {
  start();
  identities_["w1"] = enroll("w1", join_token());
  stop();
  start();
  EXPECT_EQ(line(identities_["w1"])->join("w1", 1).epoch(), 2U);
}

TEST_F(CertificatesTest, RenewalGivesAnotherCertificateAndKeepsTheOneThatAskedForIt) {
  start();
  auto w = worker();
  w->join("w1", 1);
  WorkerIdentity next{must(net::make_key()), ""};
  w->ask("", "w1", next.key);
  next.chain = w->wait(BodyCase::kCertificateIssued).certificate_issued().chain();
  EXPECT_NE(must(net::read_chain(next.chain, next.key)).sha256, must(net::read_chain(identities_["w1"].chain)).sha256);
  EXPECT_EQ(must(net::read_chain(next.chain)).name, "w1");
  line(identities_["w1"])->join("w1", 1);  // the answer might have been lost
  line(next)->join("w1", 1);
  EXPECT_TRUE(audited("renew", 201, "w1"));
}

TEST_F(CertificatesTest, RevocationEndsTheConnectionAtOnceAndRefusesItLater) {
  start();
  auto w = worker();
  const auto number = w->join("w1", 1).worker();
  ASSERT_EQ(submit(1).status, 201);
  const wire::Assign assign = w->wait(BodyCase::kAssign).assign();
  const auto done = post("/api/v1/workers/" + std::to_string(number) + "/revoke");
  ASSERT_EQ(done.status, 200) << done.body;
  EXPECT_EQ(refusal(*w), "revoked");
  EXPECT_TRUE(w->wait_closed());
  auto again = line(identities_["w1"]);
  again->send(FakeWorker::hello_of("w1", 1));
  EXPECT_EQ(refusal(*again), "revoked");
  EXPECT_FALSE(again->has(BodyCase::kWelcome));
  EXPECT_TRUE(audited("hello", 403, "w1"));
  EXPECT_TRUE(get_json("/api/v1/workers")["items"][0]["certificate"]["revoked"]);
  // Its job goes to another when the lease has ended, which the revoked one cannot renew.
  auto other = worker("w2");
  other->join("w2", 1);
  std::jthread beat([&](const std::stop_token& stopping) {
    while (!stopping.stop_requested()) {
      other->heartbeat({});
      std::this_thread::sleep_for(Millis(300));
    }
  });
  EXPECT_EQ(other->wait(BodyCase::kAssign).assign().job_id(), assign.job_id());
}

TEST_F(CertificatesTest, ARevokedWorkerComesBackOnlyWithATokenMadeForIt) {
  start();
  auto w = worker();
  w->join("w1", 1);
  ASSERT_EQ(post("/api/v1/workers/w1/revoke").status, 200);
  EXPECT_EQ(answer(join_token(), "w1", identities_["w1"].key), "revoked");
  const WorkerIdentity back = enroll("w1", named_token("again"));
  line(back)->join("w1", 1);
  auto old = line(identities_["w1"]);  // the revoked certificate stays what it is
  old->send(FakeWorker::hello_of("w1", 1));
  EXPECT_EQ(refusal(*old), "unauthenticated");
}

TEST_F(CertificatesTest, RevokingNeedsOneKnownWorker) {
  start();
  EXPECT_EQ(post("/api/v1/workers/nobody/revoke").status, 404);
  worker("a")->join("a", 1);
  EXPECT_EQ(post("/api/v1/workers/worker%20a/revoke").status, 200);  // by its name
}

TEST_F(CertificatesTest, AReportForTheJobOfAnotherIsAudited) {
  start();
  auto owner = worker("owner");
  owner->join("owner", 1);
  ASSERT_EQ(submit(1).status, 201);
  const wire::Assign assign = owner->wait(BodyCase::kAssign).assign();
  auto thief = worker("thief");
  thief->join("thief", 1);
  wire::Item forged = item_of(assign.fence(), 1);
  forged.mutable_started()->set_device("cpu:0");
  thief->send(forged);
  thief->wait(BodyCase::kItemAck);
  EXPECT_TRUE(audited("report", 403, "thief"));
  EXPECT_FALSE(audited_now("report", 403, "owner"));
  const std::string job = "/api/v1/sweeps/tiny/jobs/" + assign.job_id();
  EXPECT_EQ(get_json(job)["state"], "leased");
  // Nor does its log text reach the job.
  wire::Envelope log;
  *log.mutable_log()->mutable_fence() = assign.fence();
  log.mutable_log()->set_text("forged line\n");
  thief->connection().send(log);
  EXPECT_EQ(thief->wait(BodyCase::kLogAck).log_ack().offset(), 12U);
  EXPECT_EQ(get(job + "/log").body.find("forged"), std::string::npos);
}

TEST_F(CertificatesTest, RefusalsOfAnAddressAreLimited) {
  start();
  std::map<std::string, int> codes;
  for (int i = 0; i < 24; ++i) ++codes[answer(std::string(64, 'f'), "w1", must(net::make_key()))];
  EXPECT_EQ(codes["unauthenticated"], 20);
  EXPECT_EQ(codes["busy"], 4);
  enroll("w1", join_token());  // who has a good token goes on
}

TEST_F(CertificatesTest, AnExpiredCertificateIsRefusedByTls) {
  settings_.worker_certificate = Millis(1000);
  start();
  const WorkerIdentity brief = enroll("w1", join_token());
  std::this_thread::sleep_until(std::chrono::system_clock::time_point(must(net::read_chain(brief.chain)).until) +
                                Millis(1100));
  auto late = line(brief);
  late->send(FakeWorker::hello_of("w1", 1));
  EXPECT_TRUE(late->wait_closed());
  EXPECT_FALSE(late->has(BodyCase::kWelcome));
  EXPECT_TRUE(audited("hello", 401));
}

TEST_F(CertificatesTest, ACertificateOfAnotherCaIsRefusedByTls) {
  start();
  const auto other = must(net::ensure_identity(folder_ / "other", {}));
  WorkerIdentity made{must(net::make_key()), ""};
  made.chain = must(net::sign_request(other, must(net::make_request(made.key)), "w1", Millis(3600'000)));
  auto forged = line(made);
  forged->send(FakeWorker::hello_of("w1", 1));
  EXPECT_TRUE(forged->wait_closed());
  EXPECT_FALSE(forged->has(BodyCase::kWelcome));
  EXPECT_TRUE(audited("hello", 401));
}

// A browser that is asked for a certificate asks its user: under HTTP the server must not ask.
TEST_F(CertificatesTest, OnlyWorkersAreAskedForACertificate) {
  start();
  for (const std::string alpn : {net::kAlpnHttp, net::kAlpnWorker}) {
    const auto context = must(net::client_context({ca_file(), ""}, alpn));
    bool asked = false;
    SSL_CTX_set_cert_cb(
        context->native_handle(), [](SSL*, void* flag) { return *static_cast<bool*>(flag) = true, 1; }, &asked);
    net::HttpsOptions options = client_options("");
    options.tls = context;
    (void)net::HttpsClient(options).request("GET", "/healthz");
    EXPECT_EQ(asked, alpn == net::kAlpnWorker) << alpn;
  }
}

TEST_F(CertificatesTest, AWorkersCertificateDoesNotPassForTheCoordinator) {
  start();
  const WorkerIdentity made = enroll("w1", join_token());
  ASSERT_TRUE(write_file_atomic(folder_ / "w.pem", made.chain).ok());
  ASSERT_TRUE(write_file_atomic(folder_ / "w.key", made.key).ok());
  net::Identity posing{ca_file(), folder_ / "w.pem", folder_ / "w.key", "", ""};
  boost::asio::io_context io;
  const auto listener =
      must(net::Listener::open(io, {"127.0.0.1", 0}, must(net::server_context(posing)), [](auto, auto&) {}));
  std::thread thread([&] { io.run_for(std::chrono::seconds(5)); });
  net::HttpsOptions options = client_options("");
  options.port = listener->endpoint().port;
  options.expect_host.clear();
  for (const net::Trust& trust :
       {net::Trust{ca_file(), ""}, net::Trust{"", must(net::certificate_fingerprint(ca_file()))}}) {
    options.tls = must(net::client_context(trust, net::kAlpnHttp));
    const auto answered = net::HttpsClient(options).request("GET", "/");
    EXPECT_EQ(answered.error().code, Errc::unauthenticated) << answered.error().message;
  }
  io.stop();
  thread.join();
}

TEST(WorkerRegistry, TokensExpireAndADamagedFileIsRefused) {
  const TempFolder folder;
  FakeClock clock;
  const auto identity = must(net::ensure_identity(folder / "tls", {}));
  const WorkerRegistry::Options options{folder / "workers.json", folder / "join-token", identity};
  auto registry = must(WorkerRegistry::open(options, clock));
  const std::string token = must(registry->create("late", Millis(1000)));
  EXPECT_EQ(registry->create("late", Millis(1000)).error().code, Errc::already_exists);
  clock.passed = Millis(1001);
  const std::string request = must(net::make_request(must(net::make_key())));
  EXPECT_EQ(registry->enroll({token, "w1", "w", request}).error().code, Errc::unauthenticated);
  const std::string good = must(registry->create("late", Millis(1000)));
  EXPECT_EQ(registry->enroll({good, "bad uid", "w", request}).error().code, Errc::invalid_argument);
  EXPECT_EQ(registry->enroll({good, "w1", "w", request.substr(1)}).error().code, Errc::invalid_argument);
  EXPECT_TRUE(registry->enroll({good, "w1", "w", request}).ok());
  ASSERT_TRUE(write_file_atomic(folder / "workers.json", "{\"tokens\": [{}]}").ok());
  EXPECT_EQ(WorkerRegistry::open(options, clock).error().code, Errc::corrupt);
}

}  // namespace
}  // namespace fathom::api
