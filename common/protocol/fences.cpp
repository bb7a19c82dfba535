#include "common/protocol/fences.hpp"

#include <fmt/format.h>

#include "common/protocol/wire.pb.h"

namespace fathom {

wire::Fence to_wire(const Fence& fence) {
  wire::Fence out;
  out.set_job(fence.job.value());
  out.set_generation(fence.generation);
  out.set_attempt(fence.attempt);
  out.set_lease(fence.lease.value());
  return out;
}

Fence from_wire(const wire::Fence& fence) {
  return Fence{JobNumber(fence.job()), fence.generation(), fence.attempt(), LeaseId(fence.lease())};
}

std::string describe(const Fence& fence) {
  return fmt::format("{}/{}-{}", fence.job.value(), fence.generation, fence.attempt);
}

}  // namespace fathom
