// A mixture of kernels over some dimensions of a space, as Optuna's multivariate TPE estimates it (Optuna's
// _ParzenEstimator with multivariate=True, consider_prior and consider_magic_clip; Bergstra et al. 2011, Watanabe
// 2023): one component for each observation, which is a product over all dimensions, and one for the prior.
//  - Range: a normal cut off at the ends, on the scale of the parameter, around the observation, with sigma =
//    0.2 * n^(-1 / (d + 4)) * (high - low), not below (high - low) / min(100, n + 2); the prior's is around the middle
//    with sigma = high - low. Of whole numbers it is the mass between the value's halves.
//  - List: weight 1 on the observation, 1 / (n + 1) on each entry, made to sum to 1; the prior is even.
// Components weigh 1; of more than 25 observations the oldest weigh less, down to 1 / n.
// Thread: const after construction; `random` belongs to the caller.
#pragma once

#include <vector>

#include "sweeps/search/space.hpp"

namespace fathom::sweeps {

class Parzen {
 public:
  // `seen`: a place in each of `dimensions` (which outlive this) for each observation, the oldest first.
  Parzen(std::vector<const Dimension*> dimensions, const std::vector<std::vector<double>>& seen);

  [[nodiscard]] std::vector<double> sample(SplitMix& random) const;
  // Of whole numbers and lists the logarithm of the mass, of ranges that of the density on their scale.
  [[nodiscard]] double log_density(const std::vector<double>& places) const;

 private:
  struct Kernels {
    std::vector<double> centre, sigma;        // by component: of a range, on its scale
    std::vector<std::vector<double>> shares;  // of a list, by component and entry
    double low = 0, high = 0;                 // of a range, on its scale, whole numbers with their halves
  };
  [[nodiscard]] double sample_one(std::size_t dimension, std::size_t component, SplitMix& random) const;
  [[nodiscard]] double log_one(std::size_t dimension, std::size_t component, double place) const;

  std::vector<const Dimension*> dimensions_;
  std::vector<Kernels> kernels_;  // by dimension
  std::vector<double> weights_;   // by component, sum 1; the prior is the last
};

}  // namespace fathom::sweeps
