// Who submits sweeps and cancels: they ask again, with the same idempotency key, until they are answered. Thread: one.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "coordinator/core/command.hpp"
#include "tests/sim/scheduler.hpp"

namespace fathom::sim {

class World;

class People {
 public:
  explicit People(World& world) : world_(world) {}

  // Submits the sweep of this number, now and again until it is acknowledged.
  void submit(std::uint32_t number);
  void cancel_a_job();
  void cancel_a_sweep();
  [[nodiscard]] std::uint32_t acknowledged() const { return acknowledged_; }

  std::map<Fence, std::uint64_t> stored_points;  // the metric store's disk: survives the coordinator

 private:
  void cancel(core::Command command, JobNumber job, SweepNumber sweep);

  World& world_;
  std::uint32_t acknowledged_ = 0;
  const Life always_;
};

}  // namespace fathom::sim
