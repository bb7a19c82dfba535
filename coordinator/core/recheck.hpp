// Makes every decision of a log again and compares: verdicts, stops, choices of models, grants, ends of sweeps. What
// people and workers did is taken from the log; what the core concluded from it must come out the same.
// Thread: one; plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/result.hpp"
#include "coordinator/core/core.hpp"

namespace fathom::core {

struct Difference {
  std::uint64_t seq = 0;  // of the event in the log; one past the end: the log lacks a decision
  std::string logged;     // payloads as protobuf text; empty: there is none
  std::string again;
};

class Recheck {
 public:
  // Compares the decisions about one sweep, by its id; empty: about all.
  explicit Recheck(std::string sweep = "") : sweep_(std::move(sweep)) {}

  // The events of a log from its first, in order. An error: that of evolve(), which `expanded` is for.
  Status take(const event::Event& event, PlanPtr expanded = nullptr);
  // After the last event: whether a decision is due that the log lacks.
  void end();

  [[nodiscard]] std::uint64_t events() const { return state_.seq; }
  [[nodiscard]] std::uint64_t decisions() const { return decisions_; }                       // compared
  [[nodiscard]] const std::optional<Difference>& difference() const { return difference_; }  // the first
  [[nodiscard]] const State& state() const { return state_; }

 private:
  [[nodiscard]] bool concerns(const event::Event& event) const;

  std::string sweep_;
  State state_;
  std::uint64_t decisions_ = 0;
  std::optional<Difference> difference_;
};

}  // namespace fathom::core
