// Points to sample parameters at. The same arguments give the same points on every machine.
// Thread: free functions without state.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fathom::sweeps {

// `count` points of [0, 1)^dimensions. More points begin with those of fewer.
//  - "random": independent and uniform (SplitMix64).
//  - "sobol": a Sobol sequence (Joe and Kuo's direction numbers) with a digital shift by the seed, so that any 2^k
//  first
//    points put one into each of 2^k equal intervals of every coordinate.
std::vector<std::vector<double>> unit_points(const std::string& sampler, std::size_t count, std::size_t dimensions,
                                             std::uint64_t seed);

}  // namespace fathom::sweeps
