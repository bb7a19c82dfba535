// Between fathom::Fence (common/ids.hpp) and its form on the wire. Pure.
#pragma once

#include <string>

#include "common/ids.hpp"

namespace fathom::wire {
class Fence;
}

namespace fathom {

[[nodiscard]] wire::Fence to_wire(const Fence& fence);
[[nodiscard]] Fence from_wire(const wire::Fence& fence);
// For logs and folders: "12/1-3" = job 12, generation 1, attempt 3.
[[nodiscard]] std::string describe(const Fence& fence);

}  // namespace fathom
