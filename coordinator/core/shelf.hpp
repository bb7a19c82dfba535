// Where sweeps that have ended are kept outside the state, as bytes: a file of the process, or memory in tests.
// What is there is known from the log, so it need not outlive the process.
// Thread: that of the State that uses it. Failure: an error; nothing has changed then.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "common/result.hpp"
#include "sweeps/plan.hpp"

namespace fathom::core {

class Shelf {
 public:
  virtual ~Shelf() = default;
  // The place where the bytes are found again.
  virtual Result<std::uint64_t> put(std::string_view bytes) = 0;
  virtual Result<std::string> get(std::uint64_t place) = 0;
  // The place is free again.
  virtual void drop(std::uint64_t place) = 0;

  // The plan of the sweep that event `submitted` made, and whether it can be asked for: not before the event is
  // durable.
  virtual Result<std::shared_ptr<const sweeps::Plan>> plan(std::uint64_t submitted) = 0;
  [[nodiscard]] virtual bool has_plan(std::uint64_t submitted) const = 0;
};

}  // namespace fathom::core
