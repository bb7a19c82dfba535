#include "coordinator/api/hash_heads.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace fathom::api {
namespace {

constexpr std::size_t kBytes = 8;
constexpr std::size_t kFewest = 16;  // slots

// Never 0, which is a free slot.
std::uint64_t taken(std::uint64_t head) { return std::max<std::uint64_t>(head, 1); }

std::uint64_t nibble(char c) { return static_cast<std::uint64_t>(c <= '9' ? c - '0' : c - 'a' + 10) & 15U; }

}  // namespace

std::uint64_t HashHeads::head_of_hex(std::string_view hex) {
  std::uint64_t head = 0;
  for (const char c : hex.substr(0, 2 * kBytes)) head = head << 4U | nibble(c);
  return taken(head);
}

std::uint64_t HashHeads::head_of_bytes(std::string_view bytes) {
  std::uint64_t head = 0;
  for (const char c : bytes.substr(0, kBytes)) head = head << 8U | static_cast<unsigned char>(c);
  return taken(head);
}

bool HashHeads::contains(std::string_view hex) const {
  if (size_ == 0) return false;
  const std::uint64_t head = head_of_hex(hex);
  return slots_[place_of(head)] == head;
}

// A hash is as good as random: its head is where it belongs.
std::size_t HashHeads::place_of(std::uint64_t head) const {
  std::size_t place = head & (slots_.size() - 1);
  while (slots_[place] != 0 && slots_[place] != head) place = (place + 1) & (slots_.size() - 1);
  return place;
}

void HashHeads::insert_head(std::uint64_t head) {
  reserve(1);
  std::uint64_t& slot = slots_[place_of(head)];
  if (slot == head) return;
  slot = head;
  ++size_;
}

void HashHeads::reserve(std::size_t more) {
  const std::size_t needed = (size_ + more) * 4 / 3 + 1;
  if (needed > slots_.size()) resize(std::bit_ceil(std::max(needed, kFewest)));
}

void HashHeads::resize(std::size_t slots) {
  const std::vector<std::uint64_t> before = std::exchange(slots_, std::vector<std::uint64_t>(slots));
  for (const std::uint64_t head : before) {
    if (head != 0) slots_[place_of(head)] = head;
  }
}

}  // namespace fathom::api
