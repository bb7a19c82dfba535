#include "common/net/identity.hpp"

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <set>

#include "common/files.hpp"
#include "common/net/issue.hpp"
#include "common/net/pem.hpp"

namespace fathom::net {
namespace {

constexpr long kDay = 24L * 60 * 60;
constexpr long kCaLife = 3650 * kDay;
constexpr long kServerLife = 825 * kDay;  // the longest that Apple's TLS stack accepts from a private CA
constexpr long kRenewBefore = 30 * kDay;
constexpr long kBackdate = 3600;  // a peer whose clock is slow must not see a certificate of the future

bool is_address(const std::string& name) {
  const Asn1Ptr address(a2i_IPADDRESS(name.c_str()));
  return address != nullptr;
}

// The names become text of OpenSSL's extension language, where a comma starts another entry: only characters of host
// names and addresses may pass.
Result<std::string> alternative_names(const std::vector<std::string>& hostnames) {
  std::set<std::string> names(hostnames.begin(), hostnames.end());
  names.insert({"localhost", "127.0.0.1", "::1"});
  std::string text;
  for (const std::string& name : names) {
    const bool clean = !name.empty() && name.size() <= 253 &&
                       name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.:") ==
                           std::string::npos;
    if (!clean) {
      return Error{Errc::invalid_argument, "\"" + name + "\" is not a host name or IP address for a certificate"};
    }
    text += (text.empty() ? "" : ",") + std::string(is_address(name) ? "IP:" : "DNS:") + name;
  }
  return text;
}

Status make_authority(const std::string& ca_file, const std::string& key_file) {
  const KeyPtr key(EVP_EC_gen("P-256"));
  if (!key) return openssl_error("making the CA key");
  // A CA's name appears in trust lists: the start of its key's hash tells two coordinators apart.
  const X509Ptr certificate = blank_certificate(key.get(), "Fathom CA", kBackdate, kCaLife);
  if (!certificate) return openssl_error("making the CA certificate");
  X509* self = certificate.get();
  X509_set_issuer_name(self, X509_get_subject_name(self));
  if (!add_extension(self, self, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
      !add_extension(self, self, NID_key_usage, "critical,keyCertSign,cRLSign") ||
      !add_extension(self, self, NID_subject_key_identifier, "hash") || X509_sign(self, key.get(), EVP_sha256()) == 0) {
    return openssl_error("signing the CA certificate");
  }
  FATHOM_ASSIGN(const std::string key_pem, to_pem(key.get()));
  FATHOM_ASSIGN(const std::string pem, to_pem(self));
  // The key first: a certificate without its key would be taken for complete at the next start.
  FATHOM_TRY(write_file_atomic(key_file, key_pem, 0600));
  return write_file_atomic(ca_file, pem, 0644);
}

Status make_server(const Identity& identity, const std::string& names) {
  FATHOM_ASSIGN(const X509Ptr ca, read_certificate(identity.ca_file));
  FATHOM_ASSIGN(const KeyPtr ca_key, read_key(identity.ca_key_file));
  const KeyPtr key(EVP_EC_gen("P-256"));
  if (!key) return openssl_error("making the server key");
  const X509Ptr certificate = blank_certificate(key.get(), "fathom-coordinator", kBackdate, kServerLife);
  if (!certificate) return openssl_error("making the server certificate");
  X509* server = certificate.get();
  X509_set_issuer_name(server, X509_get_subject_name(ca.get()));
  if (!add_extension(server, ca.get(), NID_basic_constraints, "critical,CA:FALSE") ||
      !add_extension(server, ca.get(), NID_key_usage, "critical,digitalSignature") ||
      !add_extension(server, ca.get(), NID_ext_key_usage, "serverAuth") ||
      !add_extension(server, ca.get(), NID_authority_key_identifier, "keyid") ||
      !add_extension(server, ca.get(), NID_subject_alt_name, names) ||
      X509_sign(server, ca_key.get(), EVP_sha256()) == 0) {
    return openssl_error("signing the server certificate");
  }
  FATHOM_ASSIGN(const std::string key_pem, to_pem(key.get()));
  FATHOM_ASSIGN(const std::string pem, to_pem(server));
  FATHOM_ASSIGN(const std::string ca_pem, to_pem(ca.get()));
  FATHOM_TRY(write_file_atomic(identity.key_file, key_pem, 0600));
  return write_file_atomic(identity.certificate_file, pem + ca_pem, 0644);
}

bool covers(X509* certificate, const std::string& name) {
  if (is_address(name)) return X509_check_ip_asc(certificate, name.c_str(), 0) == 1;
  return X509_check_host(certificate, name.c_str(), name.size(), 0, nullptr) == 1;
}

// Whether the server's files fit: key and certificate belong together, the CA signed it, every name is in it and it
// lasts for a while. Anything else is simply made again.
bool server_is_good(const Identity& identity, const std::vector<std::string>& hostnames) {
  const auto certificate = read_certificate(identity.certificate_file);
  const auto key = read_key(identity.key_file);
  const auto ca = read_certificate(identity.ca_file);
  if (!certificate || !key || !ca) return false;
  X509* server = certificate->get();
  if (X509_check_private_key(server, key->get()) != 1) return false;
  if (X509_verify(server, X509_get0_pubkey(ca->get())) != 1) return false;
  int days = 0;
  int seconds = 0;
  if (ASN1_TIME_diff(&days, &seconds, nullptr, X509_get0_notAfter(server)) != 1) return false;
  if (days * kDay + seconds < kRenewBefore) return false;
  for (const std::string& name : hostnames) {
    if (!covers(server, name)) return false;
  }
  return true;
}

bool is_missing(const std::string& path) {
  const auto content = read_file(path, 1 << 20);
  return !content && content.error().code == Errc::not_found;
}

}  // namespace

Result<Identity> ensure_identity(const std::string& folder, const std::vector<std::string>& hostnames) {
  FATHOM_ASSIGN(const std::string names, alternative_names(hostnames));
  FATHOM_TRY(make_folders(folder, 0700));
  Identity identity{folder + "/ca.pem", folder + "/server.pem", folder + "/server.key", folder + "/ca.key", ""};
  // Only a CA that was never finished is made anew: replacing one would lock out every worker and client that trusts
  // it.
  if (is_missing(identity.ca_file)) FATHOM_TRY(make_authority(identity.ca_file, identity.ca_key_file));
  FATHOM_ASSIGN(identity.ca_sha256, certificate_fingerprint(identity.ca_file));
  if (!server_is_good(identity, hostnames)) FATHOM_TRY(make_server(identity, names));
  return identity;
}

Result<std::string> certificate_fingerprint(const std::string& pem_file) {
  FATHOM_ASSIGN(const X509Ptr certificate, read_certificate(pem_file));
  return fingerprint(certificate.get());
}

}  // namespace fathom::net
