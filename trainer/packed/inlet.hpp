// The way into a site that has modules: h = mask(product + bias), and what the modules read, which is LN(h + x), h or
// x; and the way back. One object per site and pass. Thread: compute thread.
#pragma once

#include "trainer/packed/site.hpp"

namespace fathom::trainer::packed {

// What the modules read: LN(h + x), h, or the sub-block's input x.
enum class Feed { normed, product, input };

// The arguments that make h and, with a norm, LN of it.
NormArgs arrival_norm(const Run& run, const Arrival& arrival);
void add_norm(NormArgs& args, const FrozenNorm& norm, float* y);

class Inlet {
 public:
  explicit Inlet(Feed feed) : feed_(feed) {}

  // Puts h into the place of the arrival's product. Returns what the modules read [rows, hidden]. below: for a leave()
  // to follow.
  const float* arrive(const Run& run, const Arrival& arrival, bool below);
  // From the gradients of what the modules read and of h + x on the way around them, both written into.
  Departure leave(const Run& run, float* d_fed, float* d_sum) const;

 private:
  Feed feed_;
  Arrival arrival_;
  float *sum_ = nullptr, *stats_ = nullptr;  // of LN(h + x)
};

}  // namespace fathom::trainer::packed
