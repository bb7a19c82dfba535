// One simulated world: a coordinator, workers with trainers, people who submit and cancel, and what goes wrong. The
// same seed makes the same world, step by step. See docs/reliability.md "Simulation" for what is real in it.
//
// Thread: one. Owner: a test or the program fathom_sim.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/sim/checker.hpp"
#include "tests/sim/coverage.hpp"
#include "tests/sim/network.hpp"
#include "tests/sim/scheduler.hpp"

namespace fathom::sim {

class SimCoordinator;
class SimWorker;
class People;

struct WorldOptions {
  std::uint64_t seed = 1;
  std::size_t workers = 5;
  std::uint32_t slots = 2;
  std::uint32_t sweeps = 3;    // of 20 jobs each
  Millis fault_every{5'000};   // 0: nothing goes wrong
  Millis faults_for{100'000};  // then everything heals, and what can end has to
  Millis limit{1'500'000};     // after the faults; a world that is not done by then has stood still
  bool history = false;        // print what happens
};

struct WorldReport {
  std::vector<std::string> broken;  // what must not be; empty: all is well
  Coverage coverage;
  std::uint64_t steps = 0;   // of the scheduler
  std::uint64_t events = 0;  // in the log
  std::uint64_t checks = 0;  // of the invariants
  std::uint64_t faults = 0;
  Millis time{0};  // virtual
};

class World {
 public:
  explicit World(WorldOptions options);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // Until everything has ended, or something is broken.
  WorldReport run();

  // ---- for its parts and for tests
  // A step of the scheduler; false: nothing is left or something is broken.
  bool step();
  void say(const std::string& who, const std::string& text);
  void complain(const std::string& what) { checker.complain(what); }
  [[nodiscard]] bool done() const;
  void heal();
  [[nodiscard]] bool healed() const { return healed_; }  // nothing may go wrong any more

  const WorldOptions options;
  Scheduler scheduler;
  Random random;
  WorldClock clock;
  Network network;
  Checker checker;
  Coverage coverage;
  std::uint64_t faults = 0;
  std::unique_ptr<SimCoordinator> coordinator;
  std::vector<std::unique_ptr<SimWorker>> workers;
  std::unique_ptr<People> people;

 private:
  void next_fault();
  Life life_;
  bool healed_ = false;
};

// One thing goes wrong, chosen by the world's seed.
void make_fault(World& world);

}  // namespace fathom::sim
