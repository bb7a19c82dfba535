// A trainer process as its worker meets it: it says hello, runs jobs by turns, reports, writes checkpoints and final
// trees, obeys stops, and crashes or hangs when it is told to. Thread: one. Owner: the worker's trainer host.
#pragma once

#include <map>
#include <string>

#include "common/protocol/wire.pb.h"
#include "tests/sim/sim_worker.hpp"
#include "tests/sim/training.hpp"
#include "worker/trainer.hpp"

namespace fathom::sim {

class SimTrainer final : public worker::Trainer {
 public:
  SimTrainer(World& world, SimWorker& owner, Callbacks callbacks);
  ~SimTrainer() override;

  [[nodiscard]] Status send(const std::vector<wire::Envelope>& envelopes) override;
  void kill() override { exit(9); }  // the wait status of SIGKILL
  [[nodiscard]] pid_t pid() const override { return 1; }

  // ---- faults
  void crash() { exit(9); }
  void hang() { silent_ = true; }  // says nothing any more, not even Alive
  void stick() { stuck_ = true; }  // alive, but nothing goes on
  // The next epoch of one of its jobs fails so; false: it has none.
  bool fail_one(const std::string& error_class);

 private:
  struct Run {
    wire::TrainerJob order;
    std::string id;
    std::uint32_t epochs = 0, epoch = 0;
    std::uint64_t value = 0;
    BestEpoch best;
    std::string failing;  // class
    Life life;
  };
  void take(const wire::Envelope& envelope);
  void push(const wire::Envelope& envelope);
  void push(const wire::Item& item);
  void exit(int wait_status);
  void begin(const wire::TrainerJob& order);
  void resume(Run& run);
  void next_epoch(const Fence& fence);
  void finish(const Fence& fence, Run& run);
  void stop(const Fence& fence, bool keep_best);  // obeyed after the step it is in
  void stop_now(const Fence& fence, bool keep_best);
  void shut_down();
  void alive();
  void write_checkpoint(Run& run, bool best);
  void write_final(const Run& run);
  [[nodiscard]] wire::Item item_of(const Run& run) const;

  World& world_;
  SimWorker& owner_;
  const Callbacks callbacks_;
  Life life_;
  std::map<Fence, Run> runs_;
  std::uint64_t steps_ = 0;
  bool silent_ = false, stuck_ = false, exited_ = false;
};

}  // namespace fathom::sim
