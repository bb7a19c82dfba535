// What can go wrong, one thing at a time, and how often each is chosen.
#include <array>
#include <optional>

#include "tests/sim/memory_artifacts.hpp"
#include "tests/sim/people.hpp"
#include "tests/sim/sim_coordinator.hpp"
#include "tests/sim/sim_trainer.hpp"
#include "tests/sim/sim_worker.hpp"
#include "tests/sim/world.hpp"

namespace fathom::sim {
namespace {

// Notes the fault and the states that it meets, before it happens.
void hit(World& world, const char* name, const SimWorker* worker = nullptr) {
  const core::State* state = world.coordinator->state();
  std::optional<WorkerNumber> number;
  if (state != nullptr && worker != nullptr) {
    const auto known = state->worker_by_uid.find(worker->uid());
    number = known == state->worker_by_uid.end() ? WorkerNumber() : known->second;
  }
  world.coverage.hit(name, state, number ? &*number : nullptr);
  world.say("fault", std::string(name) + (worker != nullptr ? " at " + worker->name() : ""));
  ++world.faults;
}

Millis down_for(Random& random) {
  return random.chance(10) ? random.millis(16'000, 70'000) : random.millis(100, 4'000);
}

void coordinator_killed(World& world, SimWorker&) {
  hit(world, "coordinator killed");
  world.coordinator->die("kill -9", false, down_for(world.random));
}
void coordinator_power(World& world, SimWorker&) {
  hit(world, "coordinator loses power");
  world.coordinator->die("power lost", true, down_for(world.random));
}
void coordinator_full(World& world, SimWorker&) {
  hit(world, "coordinator's disk full");
  SimCoordinator& coordinator = *world.coordinator;
  coordinator.disk.full = coordinator.artifacts().full = true;
  world.scheduler.after(world.random.millis(500, 9'000), Life(),
                        [&coordinator] { coordinator.disk.full = coordinator.artifacts().full = false; });
}
void coordinator_sync(World& world, SimWorker&) {
  hit(world, "coordinator's fsync fails");
  world.coordinator->disk.broken_sync = true;
  // A new disk, or the same after a check, for the process that comes next.
  world.scheduler.after(world.random.millis(500, 1'400), Life(),
                        [&world] { world.coordinator->disk.broken_sync = false; });
}
void clock_jumps(World& world, SimWorker&) {
  hit(world, "wall clock jumps");
  world.clock.jump(Millis(world.random.chance(50) ? 86'400'000 : -86'400'000));
}
void worker_killed(World& world, SimWorker& worker) {
  hit(world, "worker killed", &worker);
  worker.die("kill -9", false, down_for(world.random));
}
void worker_power(World& world, SimWorker& worker) {
  hit(world, "worker loses power", &worker);
  worker.die("power lost", true, down_for(world.random));
}
void worker_drains(World& world, SimWorker& worker) {
  hit(world, "worker drains", &worker);
  worker.drain();
}
void worker_full(World& world, SimWorker& worker) {
  hit(world, "worker's disk full", &worker);
  worker.disk.full = true;
  world.scheduler.after(world.random.millis(200, 4'000), Life(), [&worker] { worker.disk.full = false; });
}
void worker_sync(World& world, SimWorker& worker) {
  hit(world, "worker's fsync fails", &worker);
  worker.disk.broken_sync = true;
  world.scheduler.after(world.random.millis(200, 1'500), Life(), [&worker] { worker.disk.broken_sync = false; });
}
void trainer_crashes(World& world, SimWorker& worker) {
  SimTrainer* trainer = worker.any_trainer();
  if (trainer == nullptr) return;
  hit(world, "trainer crashes", &worker);
  trainer->crash();
}
void trainer_hangs(World& world, SimWorker& worker) {
  SimTrainer* trainer = worker.any_trainer();
  if (trainer == nullptr) return;
  hit(world, "trainer hangs", &worker);
  trainer->hang();
}
void trainer_sticks(World& world, SimWorker& worker) {
  SimTrainer* trainer = worker.any_trainer();
  if (trainer == nullptr) return;
  hit(world, "trainer makes no progress", &worker);
  trainer->stick();
}
void job_fails(World& world, SimWorker& worker) {
  static constexpr std::array kClasses = {"crash", "data", "oom", "internal", "diverged"};
  SimTrainer* trainer = worker.any_trainer();
  const char* error_class = kClasses[world.random.below(kClasses.size())];
  if (trainer == nullptr || !trainer->fail_one(error_class)) return;
  hit(world, "job fails", &worker);
}
void partition(World& world, SimWorker& worker) {
  hit(world, "partition both ways", &worker);
  const Millis time = world.random.millis(500, 25'000);
  world.network.block(worker.index(), kWorker, time);
  world.network.block(worker.index(), kCoordinator, time);
}
void deaf_coordinator(World& world, SimWorker& worker) {
  hit(world, "partition from the worker", &worker);
  world.network.block(worker.index(), kWorker, world.random.millis(500, 25'000));
}
void deaf_worker(World& world, SimWorker& worker) {
  hit(world, "partition to the worker", &worker);
  world.network.block(worker.index(), kCoordinator, world.random.millis(500, 25'000));
}
void half_open(World& world, SimWorker& worker) {
  const LinePtr line = world.network.line(worker.index());
  if (line == nullptr) return;
  hit(world, "half-open line", &worker);
  line->go_dead();
}
void reset(World& world, SimWorker& worker) {
  const LinePtr line = world.network.line(worker.index());
  if (line == nullptr) return;
  hit(world, "line reset", &worker);
  line->cut("connection reset by peer");
}
void slow(World& world, SimWorker& worker) {
  hit(world, "slow network", &worker);
  world.network.slow(worker.index(), world.random.millis(200, 3'000), world.random.millis(1'000, 10'000));
}
template <Trouble what>
void trouble(World& world, SimWorker& worker) {
  static constexpr const char* kNames[] = {"", "frame lost", "frame doubled", "frames swapped"};
  hit(world, kNames[static_cast<int>(what)], &worker);
  world.network.trouble(worker.index(), world.random.chance(50) ? kWorker : kCoordinator, what);
}
// What is asked of a job and what befalls its worker meanwhile meet only when one follows the other.
void another_soon(World& world) {
  if (!world.random.chance(50)) return;
  world.scheduler.after(world.random.millis(1, 300), Life(), [&world] {
    if (!world.healed()) make_fault(world);
  });
}
void cancel_job(World& world, SimWorker&) {
  hit(world, "a job is cancelled");
  world.people->cancel_a_job();
  another_soon(world);
}
void cancel_sweep(World& world, SimWorker&) {
  hit(world, "a sweep is cancelled");
  world.people->cancel_a_sweep();
  another_soon(world);
}

struct Fault {
  unsigned weight;
  void (*make)(World&, SimWorker&);
};
constexpr std::array kFaults = {
    Fault{7, coordinator_killed},
    Fault{5, coordinator_power},
    Fault{3, coordinator_full},
    Fault{3, coordinator_sync},
    Fault{2, clock_jumps},
    Fault{7, worker_killed},
    Fault{5, worker_power},
    Fault{4, worker_drains},
    Fault{3, worker_full},
    Fault{3, worker_sync},
    Fault{6, trainer_crashes},
    Fault{3, trainer_hangs},
    Fault{2, trainer_sticks},
    Fault{5, job_fails},
    Fault{6, partition},
    Fault{6, deaf_coordinator},
    Fault{6, deaf_worker},
    Fault{5, half_open},
    Fault{5, reset},
    Fault{5, slow},
    Fault{4, trouble<Trouble::lose>},
    Fault{4, trouble<Trouble::twice>},
    Fault{4, trouble<Trouble::swap>},
    Fault{3, cancel_job},
    Fault{2, cancel_sweep},
};

}  // namespace

void make_fault(World& world) {
  unsigned total = 0;
  for (const Fault& fault : kFaults) total += fault.weight;
  auto pick = static_cast<unsigned>(world.random.below(total));
  const Fault* chosen = kFaults.data();
  while (pick >= chosen->weight) pick -= (chosen++)->weight;
  chosen->make(world, *world.workers[world.random.below(world.workers.size())]);
}

}  // namespace fathom::sim
