#include "sweeps/search/draws.hpp"

#include <boost/random/sobol.hpp>

namespace fathom::sweeps {
namespace {

// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
class SplitMix {
 public:
  explicit SplitMix(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }

 private:
  std::uint64_t state_;
};

// The upper 53 bits, so that the result stays below 1.
double to_unit(std::uint64_t bits) { return static_cast<double>(bits >> 11) * 0x1p-53; }

}  // namespace

std::vector<std::vector<double>> unit_points(const std::string& sampler, std::size_t count, std::size_t dimensions,
                                             std::uint64_t seed) {
  std::vector<std::vector<double>> out(count, std::vector<double>(dimensions));
  SplitMix random(seed);
  if (dimensions == 0) return out;
  if (sampler != "sobol") {
    for (auto& point : out) {
      for (double& place : point) place = to_unit(random.next());
    }
    return out;
  }
  std::vector<std::uint64_t> shift(dimensions);
  for (std::uint64_t& one : shift) one = random.next();
  boost::random::sobol_engine<std::uint64_t, 64> sequence(dimensions);
  // The engine leaves out the sequence's first point, the origin; the nets need it.
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t d = 0; d < dimensions; ++d) out[i][d] = to_unit(shift[d] ^ (i == 0 ? 0 : sequence()));
  }
  return out;
}

}  // namespace fathom::sweeps
