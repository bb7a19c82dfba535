// Strong ids: a job's number is not a lease's. Comparable, hashable, no arithmetic. Thread: plain values.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

namespace fathom {

template <class Tag, class Rep = std::uint64_t>
class Id {
 public:
  using rep = Rep;
  constexpr Id() = default;
  constexpr explicit Id(Rep value) : value_(value) {}
  [[nodiscard]] constexpr Rep value() const { return value_; }
  constexpr auto operator<=>(const Id&) const = default;

 private:
  Rep value_ = 0;
};

// The number of a job inside a coordinator: dense, given at submit in expansion order, never used again. The *job id*
// of DESIGN (16 hex digits, equal on every machine) is sweeps::Job::id; this one is short for tables and wire.
using JobNumber = Id<struct JobNumberTag>;
using SweepNumber = Id<struct SweepNumberTag, std::uint32_t>;
using WorkerNumber = Id<struct WorkerNumberTag, std::uint32_t>;
using LeaseId = Id<struct LeaseTag>;

// Names one try of one job. (generation, attempt) pairs only grow; what an older pair sends is fenced.
struct Fence {
  JobNumber job;
  std::uint32_t generation = 1;
  std::uint32_t attempt = 1;
  LeaseId lease;
  auto operator<=>(const Fence&) const = default;
};

}  // namespace fathom

template <class Tag, class Rep>
struct std::hash<fathom::Id<Tag, Rep>> {
  std::size_t operator()(const fathom::Id<Tag, Rep>& id) const noexcept { return std::hash<Rep>{}(id.value()); }
};
