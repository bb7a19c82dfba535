// Learning curves for a simulation, recorded ones or made up (docs/sweeps.md "Simulating a sweep"). Thread: plain
// values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "common/result.hpp"
#include "sweeps/plan.hpp"

namespace fathom::simulate {

struct Curve {
  std::vector<double> values;  // the objective after each epoch; NaN: diverged
  double epoch_seconds = 1;
};

class Curves {
 public:
  // {"epoch_seconds": 10, "curves": [{"where": {COLUMN: value}, "values": [...], "epoch_seconds": 3}],
  //  "synthetic": {"seed": 1, "noise": 0.01, "best": {"lr": 3e-4}}}. Errors name what is wrong.
  static Result<Curves> read(const std::string& text);

  // Of the first entry whose columns (as in results.csv) the job has; else made up, where the file says so. Values
  // for every epoch of the job. not_found: no curve fits, or it is too short.
  [[nodiscard]] Result<Curve> of(const sweeps::Plan& plan, const sweeps::Job& job) const;

 private:
  struct Entry {
    nlohmann::json where;
    Curve curve;
  };
  struct Synthetic {
    std::uint64_t seed = 0;
    double noise = 0;
    nlohmann::json best;  // parameters; an object, or null
  };
  [[nodiscard]] Curve synthetic(const sweeps::Plan& plan, const sweeps::Job& job) const;

  std::vector<Entry> entries_;
  std::optional<Synthetic> synthetic_;
  double epoch_seconds_ = 1;
};

}  // namespace fathom::simulate
