// Owners for OpenSSL's objects and their PEM files. Inner header of common/net: nothing outside includes it.
// Thread: free functions; objects belong to their owner.
#pragma once

#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>
#include <string>

#include "common/result.hpp"

namespace fathom::net {

// Deletes with the C function that OpenSSL names for the type.
template <auto Free>
struct OpensslDeleter {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};
using X509Ptr = std::unique_ptr<X509, OpensslDeleter<X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, OpensslDeleter<EVP_PKEY_free>>;
using BignumPtr = std::unique_ptr<BIGNUM, OpensslDeleter<BN_free>>;
using BioPtr = std::unique_ptr<BIO, OpensslDeleter<BIO_free_all>>;
using Asn1Ptr = std::unique_ptr<ASN1_OCTET_STRING, OpensslDeleter<ASN1_OCTET_STRING_free>>;
using StorePtr = std::unique_ptr<X509_STORE, OpensslDeleter<X509_STORE_free>>;
using StoreContextPtr = std::unique_ptr<X509_STORE_CTX, OpensslDeleter<X509_STORE_CTX_free>>;

// An internal Error: what was tried, and the newest entry of OpenSSL's error queue (which is emptied).
Error openssl_error(const std::string& doing);

Result<std::string> to_pem(X509* certificate);
Result<std::string> to_pem(EVP_PKEY* key);
// The first certificate, or the private key, in a file. corrupt: the file holds none.
Result<X509Ptr> read_certificate(const std::string& path);
Result<KeyPtr> read_key(const std::string& path);
// SHA-256 of the DER form, lower-case hex; empty when OpenSSL fails.
std::string fingerprint(const X509* certificate);

}  // namespace fathom::net
