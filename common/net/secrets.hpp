// Random secrets and join tokens. Secrets are 32 bytes from the system's generator, written in hex; what has to
// remember one keeps its SHA-256 only. Thread: free functions without state.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "common/result.hpp"

namespace fathom::net {

// `bytes` random bytes in lower-case hex. Error: the system's generator failed.
Result<std::string> random_hex(std::size_t bytes = 32);

// True when the texts are equal. Takes the same time for every pair of texts of these lengths, so an answer's time does
// not tell how much of a guess was right.
bool equal_constant_time(std::string_view a, std::string_view b);

// What a worker needs to join: which coordinator to believe (the SHA-256 of its CA certificate) and a secret that
// proves the worker was invited.
struct JoinToken {
  std::string ca_sha256;  // 64 lower-case hex digits, of the DER form of the certificate
  std::string secret;     // hex
};

// Text form: "fathom-join-1.<ca_sha256>.<secret>".
std::string to_text(const JoinToken& token);
// invalid_argument with the expected form when `text` is anything else; white space around it is dropped.
Result<JoinToken> parse_join_token(std::string_view text);

// The secret in the file at `path`; the first call makes it (mode 0600). White space around it is dropped.
Result<std::string> ensure_secret_file(const std::string& path);

}  // namespace fathom::net
