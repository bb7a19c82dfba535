#include "tests/sim/world.hpp"

#include <fmt/format.h>

#include "common/protocol/wire.pb.h"
#include "coordinator/core/inspect.hpp"
#include "tests/sim/describe.hpp"
#include "tests/sim/memory_artifacts.hpp"
#include "tests/sim/people.hpp"
#include "tests/sim/sim_coordinator.hpp"
#include "tests/sim/sim_worker.hpp"

namespace fathom::sim {

namespace {
constexpr Millis kSettle(5'000);  // after the last job, for what is still on its way
}

World::World(WorldOptions chosen)
    : options(chosen), random(chosen.seed), clock(scheduler), network(scheduler, random, chosen.workers) {
  network.sent = [this](std::size_t, Side from, const wire::Envelope& envelope) {
    if (from == kWorker) checker.sent(envelope);
  };
  network.arrived = [this](std::size_t worker, Side from, const wire::Envelope& envelope) {
    if (from == kCoordinator) checker.arrived(envelope);
    if (options.history) {
      if (const std::string text = describe_frame(envelope); !text.empty()) {
        const std::string name = "worker-" + std::to_string(worker);
        say(from == kWorker ? "coordinator" : name,
            "got from " + (from == kWorker ? name : "coordinator") + ": " + text);
      }
    }
  };
  people = std::make_unique<People>(*this);
  coordinator = std::make_unique<SimCoordinator>(*this);
  for (std::size_t i = 0; i < options.workers; ++i) workers.push_back(std::make_unique<SimWorker>(*this, i));
  coordinator->start();
  for (const auto& worker : workers) worker->start();
  for (std::uint32_t i = 1; i <= options.sweeps; ++i) {
    scheduler.after(Millis(15'000 * (static_cast<int>(i) - 1) + 500), life_, [this, i] { people->submit(i); });
  }
  if (options.fault_every.count() > 0) next_fault();
}

World::~World() {
  workers.clear();
  coordinator.reset();
}

void World::say(const std::string& who, const std::string& text) {
  if (!options.history) return;
  const double seconds = static_cast<double>((scheduler.now() - TimePoint(Millis(1'000'000))).count()) / 1000;
  fmt::print("{:9.3f}  {:<12} {}\n", seconds, who, text);
}

void World::next_fault() {
  scheduler.after(random.millis(1, static_cast<int>(2 * options.fault_every.count())), life_, [this] {
    if (healed_) return;
    make_fault(*this);
    next_fault();
  });
}

void World::heal() {
  healed_ = true;
  say("world", "no more faults from here on");
  network.heal();
  coordinator->disk.full = coordinator->disk.broken_sync = coordinator->artifacts().full = false;
  for (const auto& worker : workers) worker->disk.full = worker->disk.broken_sync = false;
}

bool World::done() const {
  const core::State* state = coordinator->state();
  return state != nullptr && people->acknowledged() == options.sweeps && state->open_sweeps.empty();
}

bool World::step() {
  if (!checker.broken().empty()) return false;
  try {
    return scheduler.run_one();
  } catch (const std::exception& error) {
    complain(std::string("an exception: ") + error.what());
    return false;
  }
}

WorldReport World::run() {
  const TimePoint begin = scheduler.now();
  TimePoint quiet_since{};
  while (step()) {
    const TimePoint now = scheduler.now();
    if (!healed_ && now - begin > options.faults_for) heal();
    if (!done()) {
      quiet_since = {};
    } else if (quiet_since == TimePoint{}) {
      quiet_since = now;
      if (!healed_) heal();
    } else if (now - quiet_since > kSettle && coordinator->all_durable()) {
      break;  // a worker that came back just now is in the log too
    }
    if (now - begin > options.faults_for + options.limit) {
      complain("I8: nothing ends any more");
      if (const core::State* state = coordinator->state(); state != nullptr) {
        for (const core::Job* one : core::all_jobs(*state)) {
          const core::Job& job = *one;
          if (!core::is_terminal(core::phase_of(job)))
            say("open", fmt::format("job {}: {}", job.number.value(), core::explain(*state, job)));
        }
      }
      break;
    }
  }
  if (checker.broken().empty()) coordinator->check_at_end();
  WorldReport report;
  report.broken = checker.broken();
  report.coverage = coverage;
  for (const auto& [kind, count] : checker.event_kinds()) report.coverage.events[kind] += count;
  report.steps = scheduler.steps();
  report.events = checker.events();
  report.checks = checker.checks();
  report.faults = faults;
  report.time = scheduler.now() - begin;
  return report;
}

}  // namespace fathom::sim
