// TLS 1.3 contexts. A server shows the certificate of net::Identity and lets ALPN choose what is spoken; a client
// believes either the CA in a file (and checks the host name) or the CA with a given fingerprint (a join token's).
// Thread: a context is made once and then only read; share it freely.
#pragma once

#include <memory>
#include <string>

#include "common/net/identity.hpp"
#include "common/result.hpp"

namespace boost::asio::ssl {
class context;
}
struct ssl_st;  // OpenSSL's SSL

namespace fathom::net {

inline constexpr const char* kAlpnWorker = "fathom-worker/1";
inline constexpr const char* kAlpnHttp = "http/1.1";

using TlsContext = std::shared_ptr<boost::asio::ssl::context>;

// Nothing older than TLS 1.3. A client that offers only unknown protocols is refused; one that offers none is left
// without. Only under kAlpnWorker a client certificate is asked for: none may be shown, but one that is must be a
// client's of this CA, in its time. Sessions are not resumed: who connects shows its certificate each time.
Result<TlsContext> server_context(const Identity& identity);

// Whom a client believes: exactly one of the two is set.
struct Trust {
  std::string ca_file;    // PEM
  std::string ca_sha256;  // hex; the server's chain must hold a CA certificate with this hash that signed the rest
};

// `alpn` is the one protocol that is offered. invalid_argument: neither or both of `trust` are set; not_found or
// corrupt for the CA file.
Result<TlsContext> client_context(const Trust& trust, const std::string& alpn);

// For servers of others: believes what the system believes and, where it is not empty, the CA of `more_ca_file` (PEM).
// TLS 1.2 at least. not_found or corrupt for that file.
Result<TlsContext> public_client_context(const std::string& more_ca_file);

// Makes `ssl` accept only a certificate for `host` (a DNS name or an IP address) and ask for it by SNI. For contexts
// that trust a file; a pinned CA signs nothing but its own coordinator.
void expect_host(ssl_st* ssl, const std::string& host);

// The protocol that ALPN agreed on; empty when there is none.
std::string negotiated_protocol(const ssl_st* ssl);

// Why the handshake of a client failed, for a person: `what` is the system's reason, `peer` is HOST:PORT.
std::string explain_handshake(const ssl_st* ssl, const std::string& what, const std::string& peer);

}  // namespace fathom::net
