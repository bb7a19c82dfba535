#include "data/split.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

#include "data/random.hpp"

namespace fathom::data {

Result<Divided> divide(std::uint32_t rows, double split, std::uint64_t seed) {
  if (!(split > 0) || (split >= 1 && split != std::floor(split))) {
    return Error{Errc::invalid_argument,
                 fmt::format("split is {}; expected a share between 0 and 1, or a whole number of rows", split)};
  }
  const double dev = split < 1 ? std::max(1.0, std::round(split * rows)) : split;
  if (dev >= rows) {
    return Error{Errc::invalid_argument,
                 fmt::format("split {} of {} rows leaves nothing to train on; give a smaller one", split, rows)};
  }
  std::vector<std::uint32_t> order(rows);
  std::iota(order.begin(), order.end(), 0U);
  Random random(seed);
  shuffle(order, random);
  Divided out;
  out.dev.assign(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(dev));
  out.train.assign(order.begin() + static_cast<std::ptrdiff_t>(dev), order.end());
  return out;
}

}  // namespace fathom::data
