// The attempts of this worker: lays their folders, gives them to trainers, takes what trainers report into spool and
// outbox, uploads checkpoints and final trees, and forgets an attempt when the coordinator has acknowledged everything
// or fenced it. It never talks to the coordinator itself: the agent asks for messages with take().
//
// Thread: the worker's loop. Owner: the agent. Order of one attempt's items: as the trainer sent them, except that
// checkpoints and the last item wait for their files to be committed at the coordinator; the last item stays last.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/ids.hpp"
#include "worker/attempt.hpp"
#include "worker/loop.hpp"
#include "worker/options.hpp"
#include "worker/spooler.hpp"
#include "worker/state_folder.hpp"
#include "worker/trainer_host.hpp"
#include "worker/transfers.hpp"

namespace fathom::wire {
class Assign;
class Envelope;
class Held;
class Item;
}  // namespace fathom::wire

namespace fathom::worker {

class JobRunner {
 public:
  // What it works with; `transfers` must outlive the runner.
  struct Parts {
    Transfers& transfers;
    std::function<std::unique_ptr<Spooler>(Spooler::Durable)> make_spooler;
    StartTrainer start_trainer;
  };
  // `fatal`: the spool's disk is broken; the worker must end.
  JobRunner(Loop& loop, const Options& options, const StatePaths& state, const std::vector<DeviceSpec>& devices,
            Parts parts, std::function<void(const std::string&)> fatal);
  ~JobRunner();

  // Takes up the spools of an earlier worker. Called once, before anything else.
  void recover();
  void start_trainers();

  // ---- from the coordinator; a fence's lease is not looked at, an attempt has only one
  void assign(const wire::Assign& assign);
  void stop(const Fence& fence, const std::string& cause);
  // The attempt is fenced: stop it, forget it.
  void abandon(const Fence& fence);
  // Contact was lost for too long: every attempt checkpoints and stops; what is spooled stays.
  void give_up_all();
  void item_ack(const Fence& fence, std::uint64_t sequence, bool late);
  void metric_ack(const Fence& fence, std::uint64_t last_sequence);
  void log_ack(const Fence& fence, std::uint64_t offset);

  // ---- to the coordinator
  [[nodiscard]] std::vector<wire::Held> held() const;
  // What may be sent now and was not yet on this connection.
  [[nodiscard]] std::vector<wire::Envelope> take();
  // Sends what trainers are to be told; after each round of the loop, connected or not.
  void tell_trainers();
  // A new connection: send everything unacknowledged again.
  void rewind();

  // ---- the end
  void drain();
  // Trainers gone, uploads done, everything acknowledged.
  [[nodiscard]] bool drained() const;

 private:
  using Table = std::map<Fence, std::unique_ptr<Attempt>>;  // by attempt_key()

  [[nodiscard]] Attempt* find(const Fence& fence);
  [[nodiscard]] TrainerHost* host_of(const std::string& device);
  // The host of the devices that an assignment names; of a gang one that is started for it. Null: they are not all
  // here.
  [[nodiscard]] TrainerHost* host_for(const std::string& device);
  // Gangs end with their job: the device's own trainer has its place again.
  void end_idle_gangs();
  [[nodiscard]] std::unique_ptr<TrainerHost> make_host(const DeviceSpec& device, const std::string& output);
  void prepare(Attempt& attempt, const wire::Assign& assign);
  void prepared(const Fence& fence, const wire::Assign& assign, const Status& status);
  void hand_back(Attempt& attempt);

  // ---- from trainers and transfer threads
  void on_item(wire::Item& item);
  void on_metrics(wire::MetricBatch& batch);
  void on_log(const wire::TrainerLog& log);
  void on_crash(const TrainerCrash& crash);
  void on_durable(const Fence& fence, std::uint64_t sequence, const Status& status);
  void upload(Attempt& attempt, const wire::Item& item, bool last);
  void upload_last(Attempt& attempt, const wire::Item& item);
  void uploaded(const Fence& fence, wire::Item& item, const Status& status, bool last);
  void closed(Attempt& attempt);

  // It may have something to say, or room to say it.
  void speaks(const Attempt& attempt) { ready_.insert(attempt_key(attempt.fence)); }
  void tell(Attempt& attempt, wire::Item& item);
  void fail(Attempt& attempt, const std::string& error_class, const std::string& message);
  void retire_if_done(const Fence& fence);
  void retire(const Fence& fence);

  Loop& loop_;
  const Options& options_;
  const StatePaths& state_;
  Transfers& transfers_;
  const StartTrainer start_trainer_;
  const std::function<void(const std::string&)> fatal_;
  Table attempts_;
  std::vector<std::unique_ptr<TrainerHost>> hosts_;
  bool draining_ = false;
  std::set<Fence> ready_;  // attempts that take() has to ask, by attempt_key(); not all of them are known any more
  std::unique_ptr<Spooler> spooler_;
};

}  // namespace fathom::worker
