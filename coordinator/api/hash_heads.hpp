// SHA-256 hashes that only come, by their first eight bytes: some dozen bytes of memory for each. Of two that begin
// alike one is found for the other, so it is for questions where a wrong yes does no harm; among a hundred million
// there is such a pair once in four thousand times. Thread: a plain value. Failure: none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include <boost/unordered/unordered_flat_set.hpp>

namespace fathom::api {

class HashHeads {
 public:
  // As 64 hex digits.
  void insert(std::string_view hex) { heads_.insert(head_of_hex(hex)); }
  [[nodiscard]] bool contains(std::string_view hex) const { return heads_.contains(head_of_hex(hex)); }
  // As 32 bytes.
  void insert_packed(std::string_view bytes) { heads_.insert(head_of_bytes(bytes)); }
  // Room for so many more.
  void reserve(std::size_t more) { heads_.reserve(heads_.size() + more); }
  [[nodiscard]] std::size_t size() const { return heads_.size(); }
  void clear() { *this = HashHeads(); }

 private:
  // A hash is as good as random: its head is mixed enough.
  struct AsItIs {
    using is_avalanching = void;
    std::size_t operator()(std::uint64_t head) const { return head; }
  };
  static std::uint64_t head_of_hex(std::string_view hex);
  static std::uint64_t head_of_bytes(std::string_view bytes);

  boost::unordered_flat_set<std::uint64_t, AsItIs> heads_;
};

}  // namespace fathom::api
