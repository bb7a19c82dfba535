// Keeps one device's trainer alive: starts it, gives it jobs, watches that it talks and makes progress, and starts it
// again with growing pauses when it ends. It knows which jobs are in the trainer, so that a crash can be told for each.
//
// Thread: the worker's loop. Owner: the job runner.
#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "common/ids.hpp"
#include "worker/loop.hpp"
#include "worker/options.hpp"
#include "worker/trainer.hpp"

namespace fathom::wire {
class Envelope;
class Item;
class MetricBatch;
class TrainerHello;
class TrainerJob;
class TrainerLog;
}  // namespace fathom::wire

namespace fathom::worker {

// Why jobs ended with their trainer.
struct TrainerCrash {
  std::vector<Fence> jobs;
  std::string error_class;  // crash | oom | internal
  std::string message;      // for a person
  bool watchdog = false;    // no progress, or it does not start: the device may be what is broken
};

class TrainerHost {
 public:
  struct Callbacks {
    std::function<void(wire::Item&)> on_item;
    std::function<void(wire::MetricBatch&)> on_metrics;
    std::function<void(const wire::TrainerLog&)> on_log;
    std::function<void(const TrainerCrash&)> on_crash;
    std::function<void()> on_gone;  // after drain(): the trainer has ended and will not be started again
  };
  // `output`: the file for the trainer's stdout and stderr.
  TrainerHost(Loop& loop, const Options& options, const StartTrainer& start_trainer, DeviceSpec device,
              std::string output, Callbacks callbacks);
  ~TrainerHost();

  // Also after drain(): the trainer is started anew, once the old one has left.
  void start();
  // Gives the job to the trainer, with the next flush(), or when it is up and a slot is free. It is moved from.
  void run(wire::TrainerJob& job);
  // Asks for the end of a job; its Stopped, Finished or Failed follows.
  void stop(const Fence& fence, const std::string& cause);
  // Everything up to this item of a job is durable at the coordinator, and what it led to has come: told to a trainer
  // that asked for it (TrainerHello.verdicts).
  void acknowledged(const Fence& fence, std::uint64_t sequence);
  // It has all the jobs it may run, and asked for no acknowledgements: news of them can wait for a moment.
  [[nodiscard]] bool busy() const { return jobs_.size() >= device_.slots && !verdicts_; }
  // Checkpoint, then end. Nothing is started any more.
  void drain();
  // Sends what the trainer is to be told, all in one write: after each round of the loop.
  void flush();
  void kill(const std::string& why);

  [[nodiscard]] bool gone() const { return state_ == State::gone; }
  [[nodiscard]] const DeviceSpec& device() const { return device_; }

 private:
  enum class State { down, starting, up, leaving, gone };

  void spawn();
  void spawn_later();
  void receive(std::uint64_t life, wire::Envelope& envelope);
  void hello(const wire::TrainerHello& hello);
  void exited(std::uint64_t life, int wait_status);
  void crash(const std::string& what);
  void start_failed(const std::string& why);
  void watch(std::uint64_t life);
  [[nodiscard]] std::string overdue(TimePoint now) const;
  void send(wire::Envelope envelope);
  void feed();

  Loop& loop_;
  const Options& options_;
  const StartTrainer& start_trainer_;
  const DeviceSpec device_;
  const std::string output_;
  const Callbacks callbacks_;

  State state_ = State::down;
  bool again_ = false;     // leaving, and to be started anew
  bool verdicts_ = false;  // it wants acknowledgements
  std::unique_ptr<Trainer> process_;
  std::uint64_t life_ = 0;  // number of the process; late news of an older one is dropped
  std::set<Fence> jobs_;    // in the trainer, or waiting, without their last item
  std::deque<std::unique_ptr<wire::TrainerJob>> waiting_;  // until the trainer is up and has a slot
  std::vector<wire::Envelope> outgoing_;                   // to the present process, since the last flush()
  TimePoint started_{};
  TimePoint heard_{};
  TimePoint progressed_{};
  std::uint64_t steps_ = 0;
  std::string killed_because_;
  bool overdue_ = false;  // …by the watchdog
  Millis pause_;
  int failed_starts_ = 0;
  std::uint64_t oom_kills_ = 0;  // the cgroup's counter when the trainer started
};

// How often the kernel has killed a process of this cgroup for memory; 0 where that is not known.
[[nodiscard]] std::uint64_t count_oom_kills(const std::filesystem::path& root = "/");

}  // namespace fathom::worker
