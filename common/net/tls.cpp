#include "common/net/tls.hpp"

#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <boost/asio/ssl/context.hpp>
#include <cstring>

#include "common/files.hpp"
#include "common/net/pem.hpp"

namespace fathom::net {
namespace {

namespace ssl = boost::asio::ssl;

// Protocol list as ALPN sends it: one length byte before each name.
std::string alpn_list(const std::string& name) { return std::string(1, static_cast<char>(name.size())) + name; }

int select_protocol(SSL* ssl, const unsigned char** out, unsigned char* out_size, const unsigned char* offered,
                    unsigned size, void*) {
  // The client's order does not matter: a worker offers only its own protocol, a browser never does.
  static const std::string known = alpn_list(kAlpnWorker) + alpn_list(kAlpnHttp);
  unsigned char* chosen = nullptr;
  const int found = SSL_select_next_proto(&chosen, out_size, reinterpret_cast<const unsigned char*>(known.data()),
                                          static_cast<unsigned>(known.size()), offered, size);
  if (found != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = chosen;
  // Here and not for all: a browser that is asked for a certificate asks its user.
  if (std::string_view(reinterpret_cast<const char*>(chosen), *out_size) == kAlpnWorker) {
    SSL_set_verify(ssl, SSL_VERIFY_PEER, nullptr);
  }
  return SSL_TLSEXT_ERR_OK;
}

// A context that carries the fingerprint its verify callback compares with.
struct Pinned {
  explicit Pinned(std::string hash) : context(ssl::context::tls_client), ca_sha256(std::move(hash)) {}
  ssl::context context;
  std::string ca_sha256;
};

X509* find_authority(STACK_OF(X509) * chain, const std::string& ca_sha256) {
  for (int i = 0; i < sk_X509_num(chain); ++i) {
    X509* candidate = sk_X509_value(chain, i);
    if (fingerprint(candidate) == ca_sha256 && X509_check_ca(candidate) != 0) return candidate;
  }
  return nullptr;
}

// Replaces OpenSSL's chain building: the certificate with the pinned hash, which the server sent along, is the only
// trust anchor, and the presented certificate has to be signed by it for the use of a server.
int verify_pinned(X509_STORE_CTX* presented, void* argument) {
  const auto* pinned = static_cast<const Pinned*>(argument);
  STACK_OF(X509)* chain = X509_STORE_CTX_get0_untrusted(presented);
  X509* authority = find_authority(chain, pinned->ca_sha256);
  const StorePtr store(X509_STORE_new());
  const StoreContextPtr check(X509_STORE_CTX_new());
  if (authority == nullptr || !store || !check) {
    X509_STORE_CTX_set_error(presented, X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN);
    return 0;
  }
  X509_STORE_add_cert(store.get(), authority);
  if (X509_STORE_CTX_init(check.get(), store.get(), X509_STORE_CTX_get0_cert(presented), chain) != 1) return 0;
  X509_STORE_CTX_set_default(check.get(), "ssl_server");
  const bool good = X509_verify_cert(check.get()) == 1;
  X509_STORE_CTX_set_error(presented, X509_STORE_CTX_get_error(check.get()));
  return good ? 1 : 0;
}

void set_version(ssl::context& context) { SSL_CTX_set_min_proto_version(context.native_handle(), TLS1_3_VERSION); }

Status offer(ssl::context& context, const std::string& alpn) {
  const std::string list = alpn_list(alpn);
  if (SSL_CTX_set_alpn_protos(context.native_handle(), reinterpret_cast<const unsigned char*>(list.data()),
                              static_cast<unsigned>(list.size())) != 0) {
    return openssl_error("setting the protocol " + alpn);
  }
  return success();
}

}  // namespace

Result<TlsContext> server_context(const Identity& identity) {
  auto context = std::make_shared<ssl::context>(ssl::context::tls_server);
  set_version(*context);
  boost::system::error_code error;
  context->use_certificate_chain_file(identity.certificate_file, error);
  if (error) return Error{Errc::corrupt, identity.certificate_file + " cannot be used: " + error.message()};
  context->use_private_key_file(identity.key_file, ssl::context::pem, error);
  if (error) return Error{Errc::corrupt, identity.key_file + " cannot be used: " + error.message()};
  FATHOM_ASSIGN(const X509Ptr ca, read_certificate(identity.ca_file));
  X509_STORE_add_cert(SSL_CTX_get_cert_store(context->native_handle()), ca.get());
  SSL_CTX_set_session_cache_mode(context->native_handle(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context->native_handle(), 0);
  SSL_CTX_set_alpn_select_cb(context->native_handle(), select_protocol, nullptr);
  return context;
}

Result<TlsContext> client_context(const Trust& trust, const std::string& alpn) {
  if (trust.ca_file.empty() == trust.ca_sha256.empty()) {
    return Error{Errc::invalid_argument, "a client needs either a CA file or a CA fingerprint to check its server by"};
  }
  auto pinned = std::make_shared<Pinned>(trust.ca_sha256);
  ssl::context& context = pinned->context;
  set_version(context);
  FATHOM_TRY(offer(context, alpn));
  context.set_verify_mode(ssl::verify_peer);
  if (!trust.ca_file.empty()) {
    FATHOM_ASSIGN(const X509Ptr ca, read_certificate(trust.ca_file));
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context.native_handle()), ca.get());
  } else {
    SSL_CTX_set_cert_verify_callback(context.native_handle(), verify_pinned, pinned.get());
  }
  return TlsContext(pinned, &context);
}

Result<TlsContext> public_client_context(const std::string& more_ca_file) {
  auto context = std::make_shared<ssl::context>(ssl::context::tls_client);
  SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_2_VERSION);
  FATHOM_TRY(offer(*context, kAlpnHttp));
  context->set_verify_mode(ssl::verify_peer);
  boost::system::error_code error;
  context->set_default_verify_paths(error);  // a machine without any: then only the file below
  if (!more_ca_file.empty()) {
    FATHOM_ASSIGN(const X509Ptr ca, read_certificate(more_ca_file));
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context->native_handle()), ca.get());
  }
  return TlsContext(context);
}

void expect_host(ssl_st* ssl, const std::string& host) {
  X509_VERIFY_PARAM* parameters = SSL_get0_param(ssl);
  if (X509_VERIFY_PARAM_set1_ip_asc(parameters, host.c_str()) == 1) return;
  SSL_set_tlsext_host_name(ssl, host.c_str());
  X509_VERIFY_PARAM_set1_host(parameters, host.c_str(), host.size());
}

std::string negotiated_protocol(const ssl_st* ssl) {
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl, &name, &size);
  return name == nullptr ? std::string() : std::string(reinterpret_cast<const char*>(name), size);
}

std::string explain_handshake(const ssl_st* ssl, const std::string& what, const std::string& peer) {
  const long verdict = SSL_get_verify_result(ssl);
  switch (verdict) {
    case X509_V_OK:
      return "no TLS connection to " + peer + ": " + what + "; is a Fathom coordinator listening there?";
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return peer + " shows a certificate for other names; start the coordinator with --hostname for this one";
    case X509_V_ERR_CERT_NOT_YET_VALID:
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return "the certificate of " + peer +
             " is not valid now; compare the clocks of both machines, or restart the "
             "coordinator to renew it";
    default:
      return peer + " is not the coordinator that this token or CA file belongs to (" +
             X509_verify_cert_error_string(verdict) + "); take the token and ca.pem from its state folder again";
  }
}

}  // namespace fathom::net
