// CRC-32C (Castagnoli, reflected polynomial 0x82F63B78): guards every stored event against bit rot. Table driven,
// eight bytes a step. Check value: crc32c("123456789") = 0xE3069283
// (RFC 3720 B.4). Thread: pure functions.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace fathom {

namespace detail {
// kCrc32cTables[k][byte]: the CRC of the byte with k zero bytes behind it.
constexpr std::array<std::array<std::uint32_t, 256>, 8> make_crc32c_tables() {
  std::array<std::array<std::uint32_t, 256>, 8> tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82F63B78U : 0U);
    tables[0][byte] = crc;
  }
  for (std::size_t k = 1; k < 8; ++k) {
    for (std::size_t byte = 0; byte < 256; ++byte)
      tables[k][byte] = (tables[k - 1][byte] >> 8) ^ tables[0][tables[k - 1][byte] & 0xFF];
  }
  return tables;
}
inline constexpr auto kCrc32cTables = make_crc32c_tables();
}  // namespace detail

// `seed` is the CRC of what stood before `bytes`, so that a value can be made in parts.
[[nodiscard]] constexpr std::uint32_t crc32c(std::string_view bytes, std::uint32_t seed = 0) {
  constexpr auto& kTables = detail::kCrc32cTables;
  std::uint32_t crc = ~seed;
  std::size_t at = 0;
  const auto byte = [&](std::size_t i) { return std::uint32_t{static_cast<unsigned char>(bytes[at + i])}; };
  for (; bytes.size() - at >= 8; at += 8) {
    const std::uint32_t low = crc ^ (byte(0) | byte(1) << 8 | byte(2) << 16 | byte(3) << 24);
    crc = kTables[7][low & 0xFF] ^ kTables[6][(low >> 8) & 0xFF] ^ kTables[5][(low >> 16) & 0xFF] ^
          kTables[4][low >> 24] ^ kTables[3][byte(4)] ^ kTables[2][byte(5)] ^ kTables[1][byte(6)] ^ kTables[0][byte(7)];
  }
  for (; at < bytes.size(); ++at) crc = (crc >> 8) ^ kTables[0][(crc ^ byte(0)) & 0xFF];
  return ~crc;
}

}  // namespace fathom
