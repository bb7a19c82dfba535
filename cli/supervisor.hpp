// The process behind `fathom up`: keeps one coordinator and one worker running on this machine, starts each again when
// it dies, and relays a loopback port to the dashboard. It holds <state>/up.lock as long as it lives; its children end
// with it. It remembers nothing that matters: everything durable is the coordinator's. Thread: run() is the calling
// thread, which should be the main thread; signals are blocked in it and waited for.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cli/context.hpp"
#include "cli/forwarder.hpp"
#include "common/clock.hpp"

namespace fathom::cli {

struct UpOptions {
  std::string root = ".";               // absolute once checked
  std::vector<std::string> devices;     // empty: one cpu:1 a core, at most 8
  std::uint16_t port = 7447;            // of the coordinator; 0: a free one
  std::uint16_t dashboard_port = 7448;  // the forwarder's; another when it is taken
  bool foreground = false;
  int ready_fd = -1;  // where the background process tells the foreground one how it went
};

class Supervisor {
 public:
  // Called once: what to tell the user, or why it did not work (run() then returns 1).
  using Announce = std::function<void(const Result<UpInfo>&)>;

  Supervisor(Context context, UpOptions options, Announce announce);
  ~Supervisor();

  // Until SIGTERM or SIGINT; the exit code.
  int run();

 private:
  struct Child {
    std::string name;
    std::vector<std::string> arguments;
    std::string log;
    int pid = 0;
    TimePoint started{};
    TimePoint next{};     // not started again before
    Millis backoff{200};  // doubles with each early death
  };

  Status take_lock();
  Status start(Child& child);
  void reap();
  void restart_due();
  void advance();
  void coordinator_answers();
  void worker_joined();
  void fail(const Error& error);
  void stop(Child& child, Millis patience);
  [[nodiscard]] bool alive(const Child& child) const { return child.pid > 0; }
  [[nodiscard]] Status write_info() const;

  Context context_;
  UpOptions options_;
  Announce announce_;
  Child coordinator_;
  Child worker_;
  std::unique_ptr<Forwarder> forwarder_;
  UpInfo info_;
  TimePoint deadline_{};  // everything has to run by then
  bool announced_ = false;
  bool failed_ = false;
  int lock_ = -1;
};

}  // namespace fathom::cli
