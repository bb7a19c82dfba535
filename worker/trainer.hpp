// A trainer as its host sees it: a process (TrainerProcess), or the simulation's. Thread: send() from the loop's
// thread, kill() from any; callbacks on the trainer's own. Owner: the host; destruction kills it.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/result.hpp"

namespace fathom::wire {
class Envelope;
}

namespace fathom::worker {

struct TrainerCommand {
  std::string program;
  std::vector<std::string> arguments;  // `--fd N` is added
  std::string output;                  // file that stdout and stderr are appended to
  std::string scratch;                 // folder of its own, made and removed with it; empty: none
};

class Trainer {
 public:
  struct Callbacks {
    std::function<void(std::shared_ptr<wire::Envelope>)> on_envelope;
    std::function<void(int wait_status)> on_exit;  // once, last
  };
  virtual ~Trainer() = default;
  // Waits a few seconds at most for a trainer that does not read.
  [[nodiscard]] virtual Status send(const std::vector<wire::Envelope>& envelopes) = 0;
  virtual void kill() = 0;
  [[nodiscard]] virtual pid_t pid() const = 0;
};

// not_found, permission_denied, …: the program cannot be run.
using StartTrainer = std::function<Result<std::unique_ptr<Trainer>>(const TrainerCommand&, Trainer::Callbacks)>;

}  // namespace fathom::worker
