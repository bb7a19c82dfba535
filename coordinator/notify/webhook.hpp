// One message to a webhook. Signed when the sweep names a secret: `Fathom-Signature: sha256=HEX` is the HMAC-SHA256 of
// the text "TIMESTAMP.BODY", where TIMESTAMP is the value of `Fathom-Timestamp` (Unix seconds): a receiver checks both,
// so that nobody can send an old message again later.
// Thread: a sender belongs to one thread; cancel() from any.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "common/clock.hpp"
#include "common/https_url.hpp"
#include "common/net/https_client.hpp"

namespace fathom::notify {

struct Message {
  std::uint64_t number = 0;  // the same in every try: a receiver knows what it has already
  HttpsUrl to;
  std::string secret;  // empty: not signed
  std::string body;    // JSON
};

// "sha256=" and 64 hex digits.
std::string signature(const std::string& secret, std::int64_t unix_seconds, const std::string& body);

class WebhookSender {
 public:
  struct Options {
    bool any_address = false;  // private and loopback ones too
    std::string ca_file;       // believed beside the system's; empty: none
    Millis timeout{10'000};    // of each step
  };
  // Error: the CA file cannot be used.
  static Result<std::unique_ptr<WebhookSender>> open(Options options);

  // Blocks until the receiver answered 2xx. Redirects are not followed. not_found: the receiver says that it is gone
  // for good (410); permission_denied: an address that is not allowed; unavailable: everything that may pass.
  Status send(const Message& message, std::int64_t unix_seconds);
  // Ends the send that runs now and every later one.
  void cancel();

 private:
  WebhookSender(Options options, net::TlsContext tls) : options_(std::move(options)), tls_(std::move(tls)) {}

  const Options options_;
  const net::TlsContext tls_;
  std::mutex mutex_;
  std::shared_ptr<net::HttpsClient> running_;
  bool cancelled_ = false;
};

}  // namespace fathom::notify
