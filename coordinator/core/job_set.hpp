// Jobs of one sweep, in the order of the plan, in about one bit for each: a bitmap over their indexes, with a second
// one over its words, so that the first of a hundred thousand is found in a few steps. Grows to the highest index that
// was ever in it. Thread: a plain value. Failure: none.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <vector>

#include "sweeps/plan.hpp"

namespace fathom::core {

class JobSet {
 public:
  using Index = sweeps::JobIndex;

  // Rising indexes. An insert or erase of another index than the present one leaves it where it is.
  class Iterator {
   public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = Index;
    using difference_type = std::ptrdiff_t;
    using pointer = const Index*;
    using reference = Index;

    Iterator() = default;
    Iterator(const JobSet* set, std::size_t at) : set_(set), at_(at) {}
    Index operator*() const { return static_cast<Index>(at_); }
    Iterator& operator++() {
      at_ = set_->next_from(at_ + 1);
      return *this;
    }
    Iterator operator++(int) {
      Iterator before = *this;
      ++*this;
      return before;
    }
    bool operator==(const Iterator& other) const { return at_ == other.at_; }

   private:
    const JobSet* set_ = nullptr;
    std::size_t at_ = 0;
  };

  // False: it was there, or was not.
  bool insert(Index index);
  bool erase(Index index);
  void clear() { *this = JobSet(); }

  [[nodiscard]] bool contains(Index index) const {
    const std::size_t word = index / kBits;
    return word < words_.size() && (words_[word] & bit_of(index)) != 0;
  }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  // The least; there must be one.
  [[nodiscard]] Index first() const { return *begin(); }

  [[nodiscard]] Iterator begin() const { return {this, next_from(0)}; }
  [[nodiscard]] Iterator end() const { return {this, kEnd}; }
  // The first that is not less.
  [[nodiscard]] Iterator lower_bound(Index index) const { return {this, next_from(index)}; }

  // What is in it; how far it once grew does not count.
  bool operator==(const JobSet& other) const;

 private:
  static constexpr std::size_t kBits = 64;
  static constexpr std::size_t kEnd = ~std::size_t{0};
  static std::uint64_t bit_of(std::size_t index) { return std::uint64_t{1} << (index % kBits); }
  // The least that is not less than `from`; kEnd: there is none.
  [[nodiscard]] std::size_t next_from(std::size_t from) const;
  // The same of the words that are not 0.
  [[nodiscard]] std::size_t next_word(std::size_t from) const;

  std::vector<std::uint64_t> words_;  // bit i % 64 of word i / 64: i is in the set
  std::vector<std::uint64_t> used_;   // bit w % 64 of word w / 64: words_[w] is not 0
  std::size_t size_ = 0;
};

}  // namespace fathom::core
