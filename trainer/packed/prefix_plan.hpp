// Which outputs of the frozen prefix are worth their disk. Pure. Thread: any.
//
// Training with the lowest n layers dropped reads the base up to the first adapter, and that part is the same for every
// job that reads the same rows. Where its output is stored at a boundary, a pass computes only what lies between that
// boundary and its own first adapter.
#pragma once

#include <cstdint>
#include <vector>

namespace fathom::trainer::packed {

// A place where outputs can be stored: what stands before the site of a stage (2 * layer + site).
struct Boundary {
  std::int64_t stage = 0;
  std::uint64_t bytes = 0;
};

// Passes over the rows whose first adapter is at `stage`.
struct Demand {
  std::int64_t stage = 0;
  double passes = 0;
};

// The boundaries, rising, that fit into `budget` bytes together and leave the least to compute; of equal ones those
// with the fewest bytes. Exact: all useful combinations are looked at. cost[s]: of one pass over the rows through the
// sub-block of stage s, in any unit; as long as the highest stage plus one.
std::vector<std::int64_t> choose_boundaries(const std::vector<Boundary>& candidates, const std::vector<Demand>& demands,
                                            const std::vector<double>& cost, std::uint64_t budget);

}  // namespace fathom::trainer::packed
