#include "coordinator/core/job_set.hpp"

#include <algorithm>

namespace fathom::core {

bool JobSet::insert(Index index) {
  const std::size_t word = index / kBits;
  if (word >= words_.size()) {
    words_.resize(word + 1);
    used_.resize(word / kBits + 1);
  }
  if ((words_[word] & bit_of(index)) != 0) return false;
  words_[word] |= bit_of(index);
  used_[word / kBits] |= bit_of(word);
  ++size_;
  return true;
}

bool JobSet::erase(Index index) {
  if (!contains(index)) return false;
  const std::size_t word = index / kBits;
  words_[word] &= ~bit_of(index);
  if (words_[word] == 0) used_[word / kBits] &= ~bit_of(word);
  --size_;
  return true;
}

std::size_t JobSet::next_from(std::size_t from) const {
  std::size_t word = from / kBits;
  if (word >= words_.size()) return kEnd;
  std::uint64_t rest = words_[word] & (~std::uint64_t{0} << (from % kBits));
  if (rest == 0) {
    word = next_word(word + 1);
    if (word == kEnd) return kEnd;
    rest = words_[word];
  }
  return word * kBits + static_cast<std::size_t>(std::countr_zero(rest));
}

std::size_t JobSet::next_word(std::size_t from) const {
  std::size_t group = from / kBits;
  if (group >= used_.size()) return kEnd;
  std::uint64_t rest = used_[group] & (~std::uint64_t{0} << (from % kBits));
  while (rest == 0) {
    if (++group == used_.size()) return kEnd;
    rest = used_[group];
  }
  return group * kBits + static_cast<std::size_t>(std::countr_zero(rest));
}

bool JobSet::operator==(const JobSet& other) const {
  return size_ == other.size_ && std::equal(begin(), end(), other.begin());
}

}  // namespace fathom::core
