// The coordinator's own certificate authority and the server certificate it signs, as files in one folder:
//   ca.pem ca.key (0600)          made once, valid ten years; workers and clients trust it by file or by fingerprint
//   server.pem server.key (0600)  EC P-256; made again when a host name is new or fewer than 30 days are left
// Files are written whole or not at all. Thread: call from one thread of one process (the state folder's lock holder).
#pragma once

#include <string>
#include <vector>

#include "common/result.hpp"

namespace fathom::net {

struct Identity {
  std::string ca_file;
  std::string certificate_file;  // the server certificate followed by the CA's: the chain that is presented
  std::string key_file;
  std::string ca_key_file;
  std::string ca_sha256;  // of the CA certificate, hex
};

// Makes what is missing in `folder` and returns where everything is. The certificate names localhost, 127.0.0.1, ::1
// and `hostnames` (DNS names or IP addresses). Errors: invalid_argument for a name that cannot stand in a certificate;
// corrupt for a file that is not a key or certificate; those of common/files.hpp.
Result<Identity> ensure_identity(const std::string& folder, const std::vector<std::string>& hostnames);

// SHA-256 of the DER form of the first certificate in a PEM file, lower-case hex.
Result<std::string> certificate_fingerprint(const std::string& pem_file);

}  // namespace fathom::net
