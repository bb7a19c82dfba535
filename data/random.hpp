// Random numbers that are the same on every machine and for ever: the standard library's distributions and std::shuffle
// differ between implementations. xoshiro256** 1.0 (Blackman, Vigna 2018), its state filled by SplitMix64 from the
// seed. Thread: an object belongs to one thread.
#pragma once

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

namespace fathom::data {

class Random {
 public:
  explicit Random(std::uint64_t seed);
  std::uint64_t next();
  // Uniform in [0, bound), without bias (Lemire 2019: multiply, reject the short end). bound > 0.
  std::uint64_t below(std::uint64_t bound);

 private:
  std::array<std::uint64_t, 4> state_;
};

// Fisher-Yates from the end: for i = n-1 … 1 swap item i with item below(i+1).
template <class T>
void shuffle(std::vector<T>& items, Random& random) {
  for (std::size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[random.below(i)]);
}

}  // namespace fathom::data
