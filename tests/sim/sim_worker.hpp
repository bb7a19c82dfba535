// A worker's process: the real agent (contact, outbox, job runner, trainer hosts, spool writer) on the world's time,
// with a line of the simulated network, a spool on a MemoryDisk, transfers that speak the real protocol, and trainers
// that compute numbers (training.hpp). It is started, killed, drained and started again. Thread: one.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/sim/memory_disk.hpp"
#include "worker/agent.hpp"

namespace fathom::sim {

class World;
class SimTrainer;
class SimUplink;

// Files of attempts and the cache, by path; they are no part of what is promised, so power does not touch them.
using Files = std::map<std::string, std::string>;

// Of the worker with this index.
[[nodiscard]] inline std::string worker_uid(std::size_t index) { return "uid-" + std::to_string(index); }

class SimWorker {
 public:
  SimWorker(World& world, std::size_t index);
  ~SimWorker();

  void start();
  // kill -9, or with the power. It comes back after `down`.
  void die(const std::string& why, bool power, Millis down);
  // SIGTERM; it comes back some time after its end.
  void drain();
  [[nodiscard]] bool up() const { return process_ != nullptr; }
  [[nodiscard]] std::string name() const { return "worker-" + std::to_string(index_); }
  [[nodiscard]] std::string uid() const { return paths_.uid(); }
  [[nodiscard]] std::size_t index() const { return index_; }
  // One that runs; null: none does.
  [[nodiscard]] SimTrainer* any_trainer();
  // When the coordinator last welcomed it; zero: never yet.
  [[nodiscard]] TimePoint welcomed() const { return welcomed_; }
  void note_welcome(TimePoint now) { welcomed_ = now; }

  MemoryDisk disk;
  Files files;
  std::vector<SimTrainer*> trainers;  // of the present process; each takes itself out
  SimUplink* uplink = nullptr;

 private:
  struct Process;
  [[nodiscard]] worker::Surroundings surroundings(const Life& life);
  void ended();

  World& world_;
  const std::size_t index_;
  const worker::StatePaths paths_;
  std::unique_ptr<Process> process_;
  TimePoint welcomed_{};
  const Life always_;
};

}  // namespace fathom::sim
