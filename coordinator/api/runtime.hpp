// The one place where the core meets time, disk and network. One strand owns the core: commands are decided there in
// the order they come, their events go to the store at once, and what leaves the process (answers, frames to workers)
// waits until everything appended before is durable.
//
// Thread: every method from any thread unless it says otherwise; callbacks run on the strand and must not block (with
// inspect() and apply_here() that may be the caller's thread). Owner:
// the coordinator; the io_context must be stopped before destruction. Failures: a broken store ends the process
// (Hooks::fatal): no answer leaves any more.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "common/result.hpp"
#include "coordinator/api/clock_skew.hpp"
#include "coordinator/core/core.hpp"
#include "coordinator/store/event_store.hpp"

namespace boost::asio {
class io_context;
}

namespace fathom::api {

// A connected worker, as the runtime sees it. Its methods are called on the strand and only queue.
class WorkerLink {
 public:
  virtual ~WorkerLink() = default;
  virtual void deliver(const core::Effect& effect) = 0;
  // The connection is of no use: another one of the same worker took over, or what it sent cannot be taken.
  virtual void dismiss(const std::string& why) = 0;
  // Its certificate was revoked: told so, and ended.
  virtual void revoked() { dismiss("its certificate was revoked"); }
  // It reported for an attempt that it was never given.
  virtual void forged(const Fence&) {}
};
using LinkPtr = std::shared_ptr<WorkerLink>;

struct Applied {
  core::Answer answer;
  std::uint64_t seq = 0;  // of the last event that this answer is based on
};
using Done = std::function<void(const Result<Applied>&)>;

// One item of a worker. `missing`: a file it names is not in the artifact store (its hash), so it may be acknowledged
// only if it changes nothing.
struct ReceivedItem {
  core::ItemReceived command;
  std::string missing;
};

class Runtime {
 public:
  struct Hooks {
    std::function<void(const Error&)> fatal;
    std::function<void(std::uint64_t)> durable;      // events up to this seq are durable
    std::function<void(const event::Event&)> event;  // every event, replayed and new, before it is durable
    std::function<void(const std::string&)> release_artifact;
    std::function<void(const core::SendNotice&)> notice;  // a message for a webhook
    std::function<void(const core::State&)> tick;         // a few times a second
    // Runs what waits for the disk elsewhere; empty: on the strand.
    std::function<void(std::function<void()>)> background;
  };
  struct Options {
    core::Options core;
    std::string version;
    Millis tick{100};  // 0: the owner calls tick() as often, on the strand; for the simulation
  };

  Runtime(boost::asio::io_context& io, const Clock& clock, Options options, Hooks hooks);
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  // Posts to the strand: what the store's callbacks are to run on.
  [[nodiscard]] store::Executor executor();

  // Before the io_context runs: reads the log after the event that `from` is the state of, and opens a new epoch, which
  // becomes durable before anything else leaves. Sweeps that end are put away where `from` has a shelf. Errors: those
  // of the log. `store` outlives the runtime.
  Status start(store::EventStore& store, core::State from = {});

  // Decides one command. `done`: after it is durable, or with the rejection.
  void apply(core::Command command, Done done);
  // The same with a command made from the state, on the strand.
  using Make = std::function<Result<core::Command>(const core::State&)>;
  void apply(Make make, Done done);
  // The same for who may block and waits for this alone: where nobody is in the strand, the command is decided and made
  // durable on this thread, and `done` has mostly run when it returns.
  void apply_here(core::Command command, Done done);
  // Looks at the state on the strand, without waiting for durability; now and on this thread where nobody is in it.
  void inspect(std::function<void(const core::State&)> look);

  // A worker's hello on a new connection. When `done` has run with success the link gets its effects; one that was
  // there before is dismissed.
  void join(LinkPtr link, core::WorkerHello hello, Done done);
  // The connection ended; ignored when another one has taken over.
  void leave(LinkPtr link, bool drained);
  // The worker with this uid may not stay: its link is told and heard no more. Nothing when it is not connected.
  void expel(const std::string& uid);
  // `clock_ms`: the worker's own, Unix ms; 0: it did not say.
  void heartbeat(LinkPtr link, core::Heartbeat heartbeat, std::int64_t clock_ms);
  // `done` after all are durable; a missing file dismisses the link and drops the rest.
  void items(LinkPtr link, std::vector<ReceivedItem> items, std::function<void()> done);

  // When each connected worker was last heard of. On the strand only.
  struct Connected {
    LinkPtr link;
    bool welcomed = false;
    WallTime heard{};
    ClockSkew skew{};
  };
  [[nodiscard]] const std::map<WorkerNumber, Connected>& connected() const { return connected_; }
  // Jobs that are slow beside their peers, or one of them. On the strand only.
  [[nodiscard]] std::map<JobNumber, core::Straggler> stragglers() const {
    return core_.paces().stragglers(core_.state(), clock_.now());
  }
  [[nodiscard]] std::optional<core::Straggler> straggler(const core::Job& job) const {
    return core_.paces().straggler(core_.state(), job, clock_.now());
  }

  // What is due by the clock.
  void tick();

  // Of this start; 0 until it is durable.
  [[nodiscard]] std::uint64_t epoch() const { return epoch_; }

  // Nothing is decided any more; `done` when everything decided before is durable. Later commands are unavailable. With
  // a broken store `done` comes at once.
  void drain(std::function<void()> done);

 private:
  struct Clockwork;
  // What waits for durability.
  struct Pending {
    std::uint64_t seq = 0;
    std::vector<core::Effect> effects;
    std::function<void(const Status&)> before;  // runs first
  };

  [[nodiscard]] core::Now now() const;
  void post(std::function<void()> work);
  void decide(const core::Command& command, const Done& done);
  core::Step handle(const core::Command& command);
  void wait(std::vector<core::Effect> effects, std::function<void(const Status&)> before);
  // `quietly`: the caller makes it durable (EventStore::commit_here).
  void flush(bool quietly = false);
  void on_durable(std::uint64_t seq, const Status& status);
  void release();
  void gather(const core::SendAck& ack);
  void deliver(const core::Effect& effect);
  void read_results(const core::ReadResults& wanted);
  void tidy();
  void schedule_tick();
  [[nodiscard]] bool is_current(const LinkPtr& link, WorkerNumber worker);
  // What the items of one message led to.
  struct Taken {
    std::vector<core::Effect> effects;
    std::vector<Fence> refused;  // of items that their worker had no right to send
  };
  bool take_item(const LinkPtr& link, ReceivedItem& item, Taken& taken);
  void refused(const LinkPtr& link, const Fence& fence);

  const Clock& clock_;
  const Options options_;
  const Hooks hooks_;
  std::unique_ptr<Clockwork> clockwork_;
  store::EventStore* store_ = nullptr;

  // On the strand only.
  core::Core core_;
  std::vector<store::EventRecord> batch_;  // decided in this turn, not yet appended
  std::deque<Pending> pending_;
  std::vector<core::SendAck> acks_;  // of this round of release()
  std::uint64_t appended_ = 0;
  std::uint64_t durable_ = 0;
  std::uint64_t put_away_ = 0;  // jobs, since memory was given back
  std::map<WorkerNumber, Connected> connected_;
  bool draining_ = false;
  bool broken_ = false;
  std::atomic<std::uint64_t> epoch_{0};
};

}  // namespace fathom::api
