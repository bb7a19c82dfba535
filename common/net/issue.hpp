// What every certificate of ours is made of. Inner header of common/net: nothing outside includes it.
// Thread: free functions without state.
#pragma once

#include <string>

#include "common/net/pem.hpp"

namespace fathom::net {

// A version 3 certificate for `key` without extensions and signature, with a random serial number, valid from
// `backdate` seconds ago for `life` seconds from now. Null: OpenSSL failed.
X509Ptr blank_certificate(EVP_PKEY* key, const std::string& common_name, long backdate, long life);

// `value` in OpenSSL's extension language. `issuer` may be the certificate itself.
bool add_extension(X509* certificate, X509* issuer, int nid, const std::string& value);

}  // namespace fathom::net
