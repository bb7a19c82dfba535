// Which rows train and which score. The rows are shuffled with the seed, so that a file sorted by label or source gives
// two samples of the same kind; the first part becomes dev. Thread: free functions without state.
#pragma once

#include <cstdint>
#include <vector>

#include "common/result.hpp"

namespace fathom::data {

// Row numbers from 0, in shuffled order.
struct Divided {
  std::vector<std::uint32_t> train;
  std::vector<std::uint32_t> dev;
};

// `split` below 1: the share of dev, rounded to the nearest row, at least one; from 1 on: the number of dev rows.
// invalid_argument when either side would be empty.
Result<Divided> divide(std::uint32_t rows, double split, std::uint64_t seed);

}  // namespace fathom::data
