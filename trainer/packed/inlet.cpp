#include "trainer/packed/inlet.hpp"

namespace fathom::trainer::packed {

NormArgs arrival_norm(const Run& run, const Arrival& arrival) {
  NormArgs args;
  args.width = run.hidden();
  args.product = arrival.product;
  args.bias = arrival.bias;
  args.mask = arrival.mask;
  args.places = arrival.rows.places;
  return args;
}

void add_norm(NormArgs& args, const FrozenNorm& norm, float* y) {
  args.gamma = norm.gamma;
  args.beta = norm.beta;
  args.eps = norm.eps;
  args.y = y;
}

const float* Inlet::arrive(const Run& run, const Arrival& arrival, bool below) {
  arrival_ = arrival;
  auto args = arrival_norm(run, arrival);
  args.part = arrival.product;
  const float* fed = feed_ == Feed::input ? arrival.x : arrival.product;
  if (feed_ == Feed::normed) {
    float* z = run.take(arrival.rows, run.hidden());
    args.residual = arrival.x;
    add_norm(args, arrival.norm, z);
    if (below) {
      args.sum = sum_ = run.take(arrival.rows, run.hidden());
      args.stats = stats_ = run.take(arrival.rows, 2);
    }
    fed = z;
  }
  run.norm(args, arrival.rows);
  return fed;
}

Departure Inlet::leave(const Run& run, float* d_fed, float* d_sum) const {
  const auto& rows = arrival_.rows;
  float* d_product = run.take(rows, run.hidden());
  NormBackArgs args;
  args.width = run.hidden();
  args.places = rows.places;
  args.mask = arrival_.mask;
  args.d_y = d_fed;
  args.add = d_sum;
  args.d_part = d_product;
  if (feed_ == Feed::normed) {
    args.sum = sum_;
    args.stats = stats_;
    args.gamma = arrival_.norm.gamma;
    args.d_sum = d_sum;
  }
  if (feed_ != Feed::input) {
    run.norm_back(args, rows);
    return {d_product, d_sum};
  }
  // Beside the sub-block: its product sees the sum only, its input the modules as well.
  args.d_sum = d_fed;
  args.d_part = nullptr;
  run.norm_back(args, rows);
  args.d_y = d_sum;
  args.add = args.d_sum = nullptr;
  args.d_part = d_product;
  run.norm_back(args, rows);
  return {d_product, d_fed};
}

}  // namespace fathom::trainer::packed
