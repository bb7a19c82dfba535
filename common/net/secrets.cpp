#include "common/net/secrets.hpp"

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <algorithm>
#include <vector>

#include "common/files.hpp"

namespace fathom::net {
namespace {

constexpr std::string_view kPrefix = "fathom-join-1.";

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const auto first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

bool is_hex(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

}  // namespace

Result<std::string> random_hex(std::size_t bytes) {
  std::vector<unsigned char> raw(bytes);
  if (RAND_bytes(raw.data(), static_cast<int>(raw.size())) != 1) {
    return Error{Errc::internal, "the system's random generator gave no bytes"};
  }
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(bytes * 2);
  for (const unsigned char byte : raw) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

bool equal_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string to_text(const JoinToken& token) { return std::string(kPrefix) + token.ca_sha256 + "." + token.secret; }

Result<JoinToken> parse_join_token(std::string_view text) {
  const std::string_view token = trimmed(text);
  const Error wrong{Errc::invalid_argument,
                    "not a join token; expected fathom-join-1.<64 hex digits>.<secret>, the one line of the file "
                    "join-token in the coordinator's state folder"};
  if (!token.starts_with(kPrefix)) return wrong;
  const std::string_view rest = token.substr(kPrefix.size());
  // SHA-256 is 64 digits, then the dot; a secret shorter than 16 bytes could be guessed and is never made.
  if (rest.size() < 65 + 32 || rest[64] != '.') return wrong;
  JoinToken parsed{std::string(rest.substr(0, 64)), std::string(rest.substr(65))};
  if (!is_hex(parsed.ca_sha256) || !is_hex(parsed.secret)) return wrong;
  return parsed;
}

Result<std::string> ensure_secret_file(const std::string& path) {
  auto existing = read_file(path, 4096);
  if (existing) {
    std::string secret(trimmed(*existing));
    if (secret.size() < 32) {
      return Error{Errc::corrupt, path + " holds no token; remove it and start again to have a new one made"};
    }
    return secret;
  }
  if (existing.error().code != Errc::not_found) return existing.error();
  FATHOM_ASSIGN(std::string secret, random_hex());
  FATHOM_TRY(write_file_atomic(path, secret + "\n", 0600));
  return secret;
}

}  // namespace fathom::net
