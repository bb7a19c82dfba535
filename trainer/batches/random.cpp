#include "trainer/batches/random.hpp"

#include <bit>
#include <numeric>
#include <utility>

namespace fathom::trainer {
namespace {

// One output of SplitMix64 at `state`, which is moved on.
std::uint64_t splitmix(std::uint64_t& state) {
  std::uint64_t z = (state += 0x9E3779B97F4A7C15ULL);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

}  // namespace

std::uint64_t stream_key(std::uint64_t seed, Purpose purpose, std::uint64_t counter) {
  // Each part passes through the mixer before the next joins: seeds 1, 2, 3 and counters 1, 2, 3 do not collide.
  std::uint64_t state = seed;
  state = splitmix(state) ^ static_cast<std::uint64_t>(purpose);
  state = splitmix(state) ^ counter;
  return splitmix(state);
}

Xoshiro256::Xoshiro256(std::uint64_t key) : state_{} {
  for (auto& word : state_) word = splitmix(key);
}

std::uint64_t Xoshiro256::next() {
  const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  const std::uint64_t shifted = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= shifted;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

std::uint64_t Xoshiro256::below(std::uint64_t bound) {
  // Values under the threshold would make the low results a little more likely.
  const std::uint64_t threshold = (0 - bound) % bound;
  for (;;) {
    const std::uint64_t value = next();
    if (value >= threshold) return value % bound;
  }
}

std::vector<std::uint32_t> epoch_order(std::uint32_t size, std::uint64_t seed, std::uint64_t epoch) {
  std::vector<std::uint32_t> order(size);
  std::iota(order.begin(), order.end(), 0U);
  Xoshiro256 random(stream_key(seed, Purpose::order, epoch));
  // From the end down, as Durstenfeld wrote it.
  for (std::uint32_t i = size; i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
  return order;
}

std::uint32_t drawn_depth(std::uint32_t lo, std::uint32_t hi, std::uint64_t seed, std::uint64_t step) {
  Xoshiro256 random(stream_key(seed, Purpose::drop, step));
  return lo + static_cast<std::uint32_t>(random.below(hi - lo + 1ULL));
}

}  // namespace fathom::trainer
