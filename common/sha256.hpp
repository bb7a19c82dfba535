// SHA-256 (OpenSSL) of bytes and files, as lower-case hex. It names artifacts, models, data and jobs.
// Thread: free functions without state; a Sha256 object belongs to one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "common/result.hpp"

namespace fathom {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void update(std::string_view bytes);
  // 64 hex digits. The object may not be updated afterwards.
  [[nodiscard]] std::string hex();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

std::string sha256_hex(std::string_view bytes);
// The first 8 bytes of it as a number, the first byte the highest.
std::uint64_t sha256_head(std::string_view bytes);

// Reads the file in chunks of 1 MiB. Error not_found or internal with the path and the system's reason.
Result<std::string> sha256_file(const std::string& path);

// True for exactly 64 lower-case hex digits: the only text that may name an artifact.
bool is_sha256(std::string_view text);

}  // namespace fathom
