// Certificates by which clients say who they are: the request that a client makes for a key of its own, the CA's
// answer, and what a server learns of the certificate that it was shown. Keys are EC P-256; a certificate is for
// clients only (extended key usage clientAuth), so that none of them can pass for the coordinator. Thread: free
// functions without state. Errors: corrupt or invalid_argument for what cannot be read; internal when OpenSSL fails.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/clock.hpp"
#include "common/net/identity.hpp"
#include "common/net/tls.hpp"
#include "common/result.hpp"

namespace fathom::net {

// ---- the client
// A new private key, PEM.
Result<std::string> make_key();
// A request for `key_pem`, PKCS #10 in DER, signed with it.
Result<std::string> make_request(const std::string& key_pem);

// A certificate as a file or an answer has it: the client's own, then its CA's.
struct Chain {
  std::string name;       // the common name
  std::string sha256;     // of the client's certificate
  std::string ca_sha256;  // of the CA's
  WallTime from{}, until{};
};
// Reads a PEM chain and checks that its CA signed it, and that it belongs to `key_pem` where that is not empty. Text
// before and after is allowed, so a file may hold the key too.
Result<Chain> read_chain(const std::string& pem, const std::string& key_pem = {});
// Makes connections of `context` show this certificate.
Status present(const TlsContext& context, const std::string& chain_pem, const std::string& key_pem);

// ---- the CA
// SHA-256 of the public key of a request. invalid_argument: no request, not signed by its key, or not a P-256 key.
Result<std::string> request_key(const std::string& request);
// Signs a request for the client called `name` (1 to 64 printable characters), valid for `life` from now; what the
// request itself says about names is not looked at. The answer is the PEM chain.
Result<std::string> sign_request(const Identity& identity, const std::string& request, const std::string& name,
                                 Millis life);

// ---- the server
struct PeerCertificate {
  std::string name;    // its common name
  std::string sha256;  // of its DER form, hex
};
// What the peer showed, once the handshake has believed it; nullopt: nothing.
std::optional<PeerCertificate> peer_certificate(const ssl_st* ssl);

}  // namespace fathom::net
