#include "common/net/client_identity.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <boost/asio/ssl/context.hpp>

#include "common/net/issue.hpp"
#include "common/net/pem.hpp"
#include "common/sha256.hpp"

namespace fathom::net {
namespace {

using RequestPtr = std::unique_ptr<X509_REQ, OpensslDeleter<X509_REQ_free>>;

constexpr std::size_t kRequestLimit = 8192;
constexpr long kBackdate = 3600;  // seconds: a peer whose clock is slow must not see a certificate of the future

BioPtr reader_of(const std::string& text) {
  return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

Result<KeyPtr> parse_key(const std::string& pem) {
  const BioPtr bio = reader_of(pem);
  char empty[] = "";  // no question on the terminal for an encrypted key
  KeyPtr key(bio ? PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, empty) : nullptr);
  ERR_clear_error();
  if (!key) return Error{Errc::corrupt, "there is no private key in PEM form"};
  return key;
}

struct Pair {
  X509Ptr certificate, authority;
};
Result<Pair> parse_pair(const std::string& pem) {
  const BioPtr bio = reader_of(pem);
  Pair pair;
  if (bio) pair.certificate.reset(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  if (bio) pair.authority.reset(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  ERR_clear_error();
  if (!pair.certificate || !pair.authority) {
    return Error{Errc::corrupt, "there is no certificate with its CA's in PEM form"};
  }
  return pair;
}

std::string common_name(const X509* certificate) {
  std::array<char, 256> text{};
  const int size = X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, text.data(),
                                             static_cast<int>(text.size()));
  return size > 0 ? std::string(text.data(), static_cast<std::size_t>(size)) : std::string();
}

WallTime wall_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return {};
  return WallTime(Millis(static_cast<std::int64_t>(::timegm(&parts)) * 1000));
}

Result<RequestPtr> parse_request(const std::string& der) {
  const Error wrong{Errc::invalid_argument, "this is no certificate request that its own P-256 key has signed"};
  if (der.size() > kRequestLimit) return wrong;
  const auto* bytes = reinterpret_cast<const unsigned char*>(der.data());
  RequestPtr request(d2i_X509_REQ(nullptr, &bytes, static_cast<long>(der.size())));
  EVP_PKEY* key = request ? X509_REQ_get0_pubkey(request.get()) : nullptr;
  std::array<char, 64> group{};
  const bool good = key != nullptr && EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
                    EVP_PKEY_get_group_name(key, group.data(), group.size(), nullptr) == 1 &&
                    std::string(group.data()) == SN_X9_62_prime256v1 && X509_REQ_verify(request.get(), key) == 1;
  ERR_clear_error();
  if (!good) return wrong;
  return request;
}

}  // namespace

Result<std::string> make_key() {
  const KeyPtr key(EVP_EC_gen("P-256"));
  if (!key) return openssl_error("making a key");
  return to_pem(key.get());
}

Result<std::string> make_request(const std::string& key_pem) {
  FATHOM_ASSIGN(const KeyPtr key, parse_key(key_pem));
  const RequestPtr request(X509_REQ_new());
  if (!request || X509_REQ_set_version(request.get(), X509_REQ_VERSION_1) != 1 ||
      X509_REQ_set_pubkey(request.get(), key.get()) != 1 ||
      X509_REQ_sign(request.get(), key.get(), EVP_sha256()) == 0) {
    return openssl_error("making a certificate request");
  }
  unsigned char* bytes = nullptr;
  const int size = i2d_X509_REQ(request.get(), &bytes);
  if (size <= 0) return openssl_error("writing a certificate request");
  std::string der(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
  OPENSSL_free(bytes);
  return der;
}

Result<Chain> read_chain(const std::string& pem, const std::string& key_pem) {
  FATHOM_ASSIGN(const Pair pair, parse_pair(pem));
  X509* own = pair.certificate.get();
  const bool signed_by =
      X509_check_ca(pair.authority.get()) != 0 && X509_verify(own, X509_get0_pubkey(pair.authority.get())) == 1;
  ERR_clear_error();
  if (!signed_by) return Error{Errc::corrupt, "the certificate was not signed by the CA beside it"};
  if (!key_pem.empty()) {
    FATHOM_ASSIGN(const KeyPtr key, parse_key(key_pem));
    if (X509_check_private_key(own, key.get()) != 1) {
      ERR_clear_error();
      return Error{Errc::corrupt, "the certificate belongs to another key"};
    }
  }
  return Chain{common_name(own), fingerprint(own), fingerprint(pair.authority.get()), wall_of(X509_get0_notBefore(own)),
               wall_of(X509_get0_notAfter(own))};
}

Status present(const TlsContext& context, const std::string& chain_pem, const std::string& key_pem) {
  FATHOM_ASSIGN(const Pair pair, parse_pair(chain_pem));
  FATHOM_ASSIGN(const KeyPtr key, parse_key(key_pem));
  SSL_CTX* handle = context->native_handle();
  if (SSL_CTX_use_certificate(handle, pair.certificate.get()) != 1 || SSL_CTX_use_PrivateKey(handle, key.get()) != 1) {
    return openssl_error("using the worker's certificate");
  }
  return success();
}

Result<std::string> request_key(const std::string& request) {
  FATHOM_ASSIGN(const RequestPtr parsed, parse_request(request));
  unsigned char* bytes = nullptr;
  const int size = i2d_X509_PUBKEY(X509_REQ_get_X509_PUBKEY(parsed.get()), &bytes);
  if (size <= 0) return openssl_error("reading a public key");
  std::string hash = sha256_hex({reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size)});
  OPENSSL_free(bytes);
  return hash;
}

Result<std::string> sign_request(const Identity& identity, const std::string& request, const std::string& name,
                                 Millis life) {
  FATHOM_ASSIGN(const RequestPtr parsed, parse_request(request));
  FATHOM_ASSIGN(const X509Ptr ca, read_certificate(identity.ca_file));
  FATHOM_ASSIGN(const KeyPtr ca_key, read_key(identity.ca_key_file));
  const long seconds = static_cast<long>(std::chrono::ceil<std::chrono::seconds>(life).count());
  const X509Ptr certificate =
      blank_certificate(X509_REQ_get0_pubkey(parsed.get()), name, std::min(kBackdate, seconds / 10), seconds);
  X509* made = certificate.get();
  if (made == nullptr || common_name(made) != name) return openssl_error("making a worker's certificate");
  X509_set_issuer_name(made, X509_get_subject_name(ca.get()));
  if (!add_extension(made, ca.get(), NID_basic_constraints, "critical,CA:FALSE") ||
      !add_extension(made, ca.get(), NID_key_usage, "critical,digitalSignature") ||
      !add_extension(made, ca.get(), NID_ext_key_usage, "critical,clientAuth") ||
      !add_extension(made, ca.get(), NID_authority_key_identifier, "keyid") ||
      X509_sign(made, ca_key.get(), EVP_sha256()) == 0) {
    return openssl_error("signing a worker's certificate");
  }
  FATHOM_ASSIGN(const std::string pem, to_pem(made));
  FATHOM_ASSIGN(const std::string ca_pem, to_pem(ca.get()));
  return pem + ca_pem;
}

std::optional<PeerCertificate> peer_certificate(const ssl_st* ssl) {
  const X509* shown = SSL_get0_peer_certificate(ssl);
  if (shown == nullptr || SSL_get_verify_result(ssl) != X509_V_OK) return std::nullopt;
  return PeerCertificate{common_name(shown), fingerprint(shown)};
}

}  // namespace fathom::net
