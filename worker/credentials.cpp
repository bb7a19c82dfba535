#include "worker/credentials.hpp"

#include <unistd.h>

#include "common/files.hpp"

namespace fathom::worker {
namespace {

constexpr std::uint64_t kLimit = 1U << 20;

}  // namespace

Status Credentials::load() {
  auto text = read_file(identity_file(), kLimit);
  if (!text) return text.error().code == Errc::not_found ? success() : Status(text.error());
  auto chain = net::read_chain(*text, *text);
  if (!chain) {
    return Error{chain.error().code, identity_file() + " cannot be used (" + chain.error().message +
                                         "): remove it and start with a new join token"};
  }
  chain_ = std::move(*chain);
  key_pem_ = chain_pem_ = std::move(*text);
  return success();
}

Result<std::string> Credentials::request() {
  auto key = read_file(key_file(), kLimit);
  if (!key) {
    if (key.error().code != Errc::not_found) return key.error();
    FATHOM_ASSIGN(std::string made, net::make_key());
    FATHOM_TRY(write_file_atomic(key_file(), made, 0600));
    key = std::move(made);
  }
  return net::make_request(*key);
}

Status Credentials::accept(const std::string& chain_pem, const std::string& uid) {
  FATHOM_ASSIGN(const std::string key, read_file(key_file(), kLimit));
  FATHOM_ASSIGN(net::Chain chain, net::read_chain(chain_pem, key));
  if (chain.name != uid) return Error{Errc::corrupt, "the certificate is for another worker"};
  FATHOM_TRY(write_file_atomic(identity_file(), key + chain_pem, 0600));
  ::unlink(key_file().c_str());
  key_pem_ = key;
  chain_pem_ = chain_pem;
  chain_ = std::move(chain);
  return success();
}

Result<net::TlsContext> Credentials::tls(const std::string& ca_file) const {
  if (!chain_) return Error{Errc::failed_precondition, "this worker has no certificate"};
  const net::Trust trust{ca_file, ca_file.empty() ? chain_->ca_sha256 : std::string()};
  FATHOM_ASSIGN(net::TlsContext context, net::client_context(trust, net::kAlpnWorker));
  FATHOM_TRY(net::present(context, chain_pem_, key_pem_));
  return context;
}

void Credentials::discard() {
  ::unlink(identity_file().c_str());
  chain_.reset();
}

}  // namespace fathom::worker
