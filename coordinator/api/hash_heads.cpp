#include "coordinator/api/hash_heads.hpp"

namespace fathom::api {
namespace {

constexpr std::size_t kBytes = 8;

std::uint64_t nibble(char c) { return static_cast<std::uint64_t>(c <= '9' ? c - '0' : c - 'a' + 10) & 15U; }

}  // namespace

std::uint64_t HashHeads::head_of_hex(std::string_view hex) {
  std::uint64_t head = 0;
  for (const char c : hex.substr(0, 2 * kBytes)) head = head << 4U | nibble(c);
  return head;
}

std::uint64_t HashHeads::head_of_bytes(std::string_view bytes) {
  std::uint64_t head = 0;
  for (const char c : bytes.substr(0, kBytes)) head = head << 8U | static_cast<unsigned char>(c);
  return head;
}

}  // namespace fathom::api
