#include "sweeps/search/draws.hpp"

#include <boost/random/sobol.hpp>

#include "sweeps/search/random.hpp"

namespace fathom::sweeps {

std::vector<std::vector<double>> unit_points(const std::string& sampler, std::size_t count, std::size_t dimensions,
                                             std::uint64_t seed) {
  std::vector<std::vector<double>> out(count, std::vector<double>(dimensions));
  SplitMix random(seed);
  if (dimensions == 0) return out;
  if (sampler != "sobol") {
    for (auto& point : out) {
      for (double& place : point) place = random.unit();
    }
    return out;
  }
  std::vector<std::uint64_t> shift(dimensions);
  for (std::uint64_t& one : shift) one = random.next();
  boost::random::sobol_engine<std::uint64_t, 64> sequence(dimensions);
  // The engine leaves out the sequence's first point, the origin; the nets need it.
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t d = 0; d < dimensions; ++d) out[i][d] = SplitMix::to_unit(shift[d] ^ (i == 0 ? 0 : sequence()));
  }
  return out;
}

}  // namespace fathom::sweeps
