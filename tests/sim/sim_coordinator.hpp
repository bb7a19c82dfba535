// The coordinator's process: the real runtime, core, event log (SQLite on a MemoryDisk), worker sessions and artifact
// keeper; artifacts and metric points in memory. It is started, killed and started again. Thread: one.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "coordinator/api/runtime.hpp"
#include "tests/sim/memory_disk.hpp"
#include "tests/sim/network.hpp"

namespace fathom::sim {

class World;
class MemoryArtifacts;

class SimCoordinator {
 public:
  explicit SimCoordinator(World& world);
  ~SimCoordinator();

  void start();
  // kill -9, or with the power: what was not synced may be gone. It comes back after `down`.
  void die(const std::string& why, bool power, Millis down);
  [[nodiscard]] bool up() const { return process_ != nullptr; }
  // The core's state; null: the process is down.
  [[nodiscard]] const core::State* state() const;
  // The process is up and its log has every event that its core has applied.
  [[nodiscard]] bool all_durable() const;
  // A command of a person; `done` may never be called, when the process dies meanwhile.
  void apply(core::Command command, api::Done done);
  // What is wrong with the log and the files once all is over.
  void check_at_end();

  MemoryDisk disk;
  [[nodiscard]] MemoryArtifacts& artifacts() { return *artifacts_; }

 private:
  struct Process;
  void accept(const LinePtr& line);
  [[nodiscard]] std::unique_ptr<Process> make_process();
  [[nodiscard]] api::Runtime::Hooks hooks(Process& process);
  void tick(Process& process);

  World& world_;
  std::unique_ptr<MemoryArtifacts> artifacts_;
  std::unique_ptr<Process> process_;
  const Life always_;
};

}  // namespace fathom::sim
