// One trainer process: a child in its own process group, joined to the worker by a socketpair. The kernel ends it when
// the worker's thread that started it dies (the loop's thread, which lives as long as the worker), so no trainer
// outlives a killed worker. What it is kept from: sandbox.hpp.
//
// Thread: start() and send() from the loop's thread, kill() from any. Callbacks run on the process's reader thread.
// Owner: destruction kills the group, reaps the child and joins the reader.
#pragma once

#include <sys/types.h>

#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "common/clock.hpp"
#include "common/protocol/channel.hpp"
#include "common/result.hpp"
#include "worker/sandbox.hpp"
#include "worker/trainer.hpp"

namespace fathom::worker {

class TrainerProcess final : public Trainer {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Trainer>> start(const TrainerCommand& command, Callbacks callbacks,
                                                              const Sandbox& sandbox = {});
  ~TrainerProcess() override;
  TrainerProcess(const TrainerProcess&) = delete;
  TrainerProcess& operator=(const TrainerProcess&) = delete;

  [[nodiscard]] Status send(const std::vector<wire::Envelope>& envelopes) override {
    return channel_.send(envelopes, Millis(5000));
  }
  // SIGKILL to the whole group.
  void kill() override;
  [[nodiscard]] pid_t pid() const override { return pid_; }

 private:
  TrainerProcess(pid_t pid, int fd, std::string scratch, Callbacks callbacks);
  void read();
  [[nodiscard]] int reap();

  const pid_t pid_;
  const std::string scratch_;
  std::mutex reap_mutex_;  // after the child is reaped its id may be somebody else's
  bool reaped_ = false;
  FrameChannel channel_;
  Callbacks callbacks_;
  std::thread reader_;
};

// "signal 9 (Killed)", "exit code 1".
[[nodiscard]] std::string describe_exit(int wait_status);

}  // namespace fathom::worker
