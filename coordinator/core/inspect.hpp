// Looking at a state from outside: for tests, `fathom explain` and the simulation. None of it is used to decide.
// Thread: free functions without state; the caller owns the state meanwhile.
#pragma once

#include <string>
#include <vector>

#include "coordinator/core/state.hpp"

namespace fathom::core {

// Every broken invariant in words (I1-I10 of docs/lifecycle/invariants.md as far as they concern the state); empty: all
// hold. Looks at everything: for tests and simulation, not for a step.
std::vector<std::string> invariants(const State& state);

// In the order of their numbers.
std::vector<const Job*> all_jobs(const State& state);

// 16 hex digits over everything in the state. Equal logs give equal digests, whatever was put away meanwhile.
std::string digest(const State& state);
// Of one sweep and its jobs.
std::uint64_t digest_of(const Sweep& sweep);

// Why a job is not running, or what it is doing, in one or two sentences for a person.
std::string explain(const State& state, const Job& job);

}  // namespace fathom::core
