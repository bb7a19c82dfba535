// SHA-256 hashes that only come, by their first eight bytes: some dozen bytes of memory for each. Of two that begin
// alike one is found for the other, so it is for questions where a wrong yes does no harm; among a hundred million
// there is such a pair once in four thousand times. Thread: a plain value. Failure: none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fathom::api {

class HashHeads {
 public:
  // As 64 hex digits.
  void insert(std::string_view hex) { insert_head(head_of_hex(hex)); }
  [[nodiscard]] bool contains(std::string_view hex) const;
  // As 32 bytes.
  void insert_packed(std::string_view bytes) { insert_head(head_of_bytes(bytes)); }
  // Room for so many more.
  void reserve(std::size_t more);
  [[nodiscard]] std::size_t size() const { return size_; }
  void clear() { *this = HashHeads(); }

 private:
  static std::uint64_t head_of_hex(std::string_view hex);
  static std::uint64_t head_of_bytes(std::string_view bytes);
  void insert_head(std::uint64_t head);
  [[nodiscard]] std::size_t place_of(std::uint64_t head) const;  // where it is, or belongs
  void resize(std::size_t slots);

  std::vector<std::uint64_t> slots_;  // 0: free; a power of two, at most three quarters taken, probed one by one
  std::size_t size_ = 0;
};

}  // namespace fathom::api
