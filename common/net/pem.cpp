#include "common/net/pem.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <array>

#include "common/files.hpp"

namespace fathom::net {
namespace {

std::string content_of(BIO* memory) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(memory, &data);
  return size > 0 ? std::string(data, static_cast<std::size_t>(size)) : std::string();
}

Result<BioPtr> open_pem(const std::string& path, std::string& storage) {
  FATHOM_ASSIGN(storage, read_file(path, 1 << 20));
  BioPtr bio(BIO_new_mem_buf(storage.data(), static_cast<int>(storage.size())));
  if (!bio) return openssl_error("reading " + path);
  return bio;
}

}  // namespace

Error openssl_error(const std::string& doing) {
  std::array<char, 256> text{};
  ERR_error_string_n(ERR_peek_last_error(), text.data(), text.size());
  ERR_clear_error();
  return Error{Errc::internal, doing + " failed: " + text.data()};
}

Result<std::string> to_pem(X509* certificate) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  if (!bio || PEM_write_bio_X509(bio.get(), certificate) != 1) return openssl_error("writing a certificate");
  return content_of(bio.get());
}

Result<std::string> to_pem(EVP_PKEY* key) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  if (!bio || PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return openssl_error("writing a key");
  }
  return content_of(bio.get());
}

Result<X509Ptr> read_certificate(const std::string& path) {
  std::string storage;
  FATHOM_ASSIGN(const BioPtr bio, open_pem(path, storage));
  X509Ptr certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  ERR_clear_error();
  if (!certificate) return Error{Errc::corrupt, path + " holds no certificate in PEM form"};
  return certificate;
}

Result<KeyPtr> read_key(const std::string& path) {
  std::string storage;
  FATHOM_ASSIGN(const BioPtr bio, open_pem(path, storage));
  // An empty pass phrase: OpenSSL would otherwise ask on the terminal for an encrypted key.
  char empty[] = "";
  KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, empty));
  ERR_clear_error();
  if (!key) return Error{Errc::corrupt, path + " holds no private key in PEM form"};
  return key;
}

std::string fingerprint(const X509* certificate) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  if (X509_digest(certificate, EVP_sha256(), digest.data(), &size) != 1) return {};
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (unsigned i = 0; i < size; ++i) {
    text += kDigits[digest[i] >> 4];
    text += kDigits[digest[i] & 15];
  }
  return text;
}

}  // namespace fathom::net
