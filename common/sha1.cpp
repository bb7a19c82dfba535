#include "common/sha1.hpp"

#include <openssl/evp.h>

#include <array>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace fathom {

std::string sha1_hex(std::string_view bytes) {
  std::array<unsigned char, 20> digest{};
  EVP_Digest(bytes.data(), bytes.size(), digest.data(), nullptr, EVP_sha1(), nullptr);
  return fmt::format("{:02x}", fmt::join(digest, ""));
}

}  // namespace fathom
