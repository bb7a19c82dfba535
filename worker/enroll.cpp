#include "worker/enroll.hpp"

#include <spdlog/spdlog.h>

#include <boost/asio/io_context.hpp>
#include <optional>
#include <random>
#include <thread>

#include "common/files.hpp"
#include "common/net/connection.hpp"
#include "common/net/secrets.hpp"
#include "common/protocol/wire.pb.h"

namespace fathom::worker {
namespace {

// One connection, one question, one answer.
Result<std::string> ask(const net::ConnectOptions& options, const wire::CertificateRequest& request) {
  boost::asio::io_context io;
  Result<std::string> answer = Error{Errc::unavailable, "the coordinator gave no answer"};
  std::shared_ptr<net::Connection> open;
  net::connect(io, options, [&](Result<std::shared_ptr<net::Connection>> connected) {
    if (!connected) {
      answer = connected.error();
      return;
    }
    open = *connected;
    net::Connection::Callbacks callbacks;
    callbacks.on_envelope = [&](wire::Envelope& envelope) {
      if (envelope.has_certificate_issued()) answer = envelope.certificate_issued().chain();
      if (envelope.has_refused()) {
        const bool busy = envelope.refused().code() == "busy";
        answer = Error{busy ? Errc::unavailable : Errc::unauthenticated, envelope.refused().message()};
      }
      open->close("answered");
    };
    wire::Envelope envelope;
    *envelope.mutable_certificate_request() = request;
    open->send(envelope);
    open->start(std::move(callbacks));
  });
  io.run();
  return answer;
}

struct Question {
  net::JoinToken token;
  net::ConnectOptions connect;
};
Result<Question> prepare(const Enrollment& enrollment) {
  FATHOM_ASSIGN(const std::string text, read_file(enrollment.token_file, 4096));
  Question question;
  FATHOM_ASSIGN(question.token, net::parse_join_token(text));
  const bool pinned = enrollment.ca.empty();
  const net::Trust trust{enrollment.ca, pinned ? question.token.ca_sha256 : std::string()};
  FATHOM_ASSIGN(question.connect.tls, net::client_context(trust, net::kAlpnWorker));
  question.connect.host = enrollment.link.coordinator.host;
  question.connect.port = enrollment.link.coordinator.port;
  if (!pinned) question.connect.expect_host = question.connect.host;
  question.connect.limits.idle = Millis(30'000);
  return question;
}

}  // namespace

Status enroll(const Enrollment& enrollment, Credentials& credentials) {
  std::mt19937_64 random(std::random_device{}());
  Millis pause = enrollment.link.first_pause;
  std::string last_failure, refused_secret;
  while (true) {
    FATHOM_ASSIGN(const Question question, prepare(enrollment));
    // The token of the file was refused and nobody has put another there.
    if (question.token.secret == refused_secret)
      return Error{Errc::unauthenticated, "refused by the coordinator: " + last_failure};
    wire::CertificateRequest request;
    request.set_join_token(question.token.secret);
    request.set_worker_uid(enrollment.uid);
    request.set_name(enrollment.name);
    FATHOM_ASSIGN(*request.mutable_request(), credentials.request());
    const auto chain = ask(question.connect, request);
    if (chain) return credentials.accept(*chain, enrollment.uid);
    if (chain.error().message != last_failure) spdlog::warn("not joined error=\"{}\"", chain.error().message);
    last_failure = chain.error().message;
    const bool refused = chain.error().code == Errc::unauthenticated;
    if (refused) refused_secret = question.token.secret;
    const Millis wait = std::chrono::duration_cast<Millis>(pause * std::uniform_real_distribution<>(0.5, 1.0)(random));
    std::this_thread::sleep_for(wait);
    if (!refused) pause = std::min(pause * 2, enrollment.link.most_pause);
  }
}

}  // namespace fathom::worker
