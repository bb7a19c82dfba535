// CRC-32C (Castagnoli, reflected polynomial 0x82F63B78): guards every stored event against bit rot. Table driven, one
// byte a step: events are small, and the disk behind them is slower. Check value: crc32c("123456789") = 0xE3069283
// (RFC 3720 B.4). Thread: pure functions.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace fathom {

namespace detail {
constexpr std::array<std::uint32_t, 256> make_crc32c_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82F63B78U : 0U);
    table[byte] = crc;
  }
  return table;
}
inline constexpr auto kCrc32cTable = make_crc32c_table();
}  // namespace detail

// `seed` is the CRC of what stood before `bytes`, so that a value can be made in parts.
[[nodiscard]] constexpr std::uint32_t crc32c(std::string_view bytes, std::uint32_t seed = 0) {
  std::uint32_t crc = ~seed;
  for (const char c : bytes) {
    crc = (crc >> 8) ^ detail::kCrc32cTable[(crc ^ static_cast<unsigned char>(c)) & 0xFF];
  }
  return ~crc;
}

}  // namespace fathom
