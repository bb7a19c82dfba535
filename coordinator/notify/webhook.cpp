#include "coordinator/notify/webhook.hpp"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>

#include "coordinator/notify/public_address.hpp"

namespace fathom::notify {
namespace {

constexpr std::size_t kLongestAnswer = 64U << 10;  // nobody reads it

// As the Host header has it.
std::string host_text(const HttpsUrl& url) {
  const std::string host = url.host.find(':') == std::string::npos ? url.host : "[" + url.host + "]";
  return url.port == 443 ? host : host + ":" + std::to_string(url.port);
}

Status judge(int status) {
  if (status >= 200 && status < 300) return success();
  const std::string answer = "it answered " + std::to_string(status);
  if (status == 410) return Error{Errc::not_found, answer + " (gone)"};
  if (status >= 300 && status < 400) return Error{Errc::unavailable, answer + "; redirects are not followed"};
  return Error{Errc::unavailable, answer};
}

}  // namespace

std::string signature(const std::string& secret, std::int64_t unix_seconds, const std::string& body) {
  const std::string text = std::to_string(unix_seconds) + "." + body;
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
  unsigned size = 0;
  HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), bytes.data(), &size);
  std::string out = "sha256=";
  for (unsigned i = 0; i < size; ++i) {
    out += "0123456789abcdef"[bytes.at(i) >> 4];
    out += "0123456789abcdef"[bytes.at(i) & 15];
  }
  return out;
}

Result<std::unique_ptr<WebhookSender>> WebhookSender::open(Options options) {
  FATHOM_ASSIGN(net::TlsContext tls, net::public_client_context(options.ca_file));
  return std::unique_ptr<WebhookSender>(new WebhookSender(std::move(options), std::move(tls)));
}

Status WebhookSender::send(const Message& message, std::int64_t unix_seconds) {
  FATHOM_ASSIGN(std::string address, choose_address(message.to, options_.any_address, options_.timeout));
  net::HttpsOptions options;
  options.host = std::move(address);
  options.port = message.to.port;
  options.tls = tls_;
  options.expect_host = message.to.host;
  options.timeout = options_.timeout;
  options.body_limit = kLongestAnswer;
  const auto client = std::make_shared<net::HttpsClient>(std::move(options));
  {
    const std::lock_guard lock(mutex_);
    if (cancelled_) return Error{Errc::unavailable, "cancelled"};
    running_ = client;
  }
  net::Headers headers = {{"Host", host_text(message.to)},
                          {"Content-Type", "application/json"},
                          {"Fathom-Notice", std::to_string(message.number)},
                          {"Fathom-Timestamp", std::to_string(unix_seconds)}};
  if (!message.secret.empty()) headers["Fathom-Signature"] = signature(message.secret, unix_seconds, message.body);
  const auto answer = client->request("POST", message.to.target, headers, message.body);
  const std::lock_guard lock(mutex_);
  running_.reset();
  return answer ? judge(answer->status) : Status(answer.error());
}

void WebhookSender::cancel() {
  const std::lock_guard lock(mutex_);
  cancelled_ = true;
  if (running_) running_->cancel();
}

}  // namespace fathom::notify
