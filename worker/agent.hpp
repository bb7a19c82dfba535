// The worker: joins its coordinator, keeps its leases, and passes what the coordinator wants to the job runner and what
// jobs report to the coordinator. It goes on for ever through lost connections and restarted coordinators.
//
// Thread: run() is the loop's thread and stays until the end; drain() from any thread. Owner: main.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "worker/contact.hpp"
#include "worker/credentials.hpp"
#include "worker/disk_room.hpp"
#include "worker/job_runner.hpp"
#include "worker/link.hpp"
#include "worker/loop.hpp"
#include "worker/machine.hpp"
#include "worker/options.hpp"
#include "worker/sandbox.hpp"
#include "worker/state_folder.hpp"
#include "worker/transfers.hpp"
#include "worker/uplink.hpp"

namespace fathom::wire {
class CertificateIssued;
class Hello;
class Welcome;
}  // namespace fathom::wire

namespace fathom::worker {

struct AgentSetup {
  Options options;  // trainer and name filled in, root absolute
  std::vector<DeviceSpec> devices;
  LinkOptions link;
  std::shared_ptr<Credentials> credentials;  // null: the link's TLS is all there is (tests)
  std::string version;
  Machine machine;
  Sandbox sandbox;  // of trainers
};

// What an agent works with: threads, sockets, disks and processes, or the simulation's in their place. Functions are
// called once, by the agent's constructor, except start_trainer.
struct Surroundings {
  std::unique_ptr<Loop> loop;
  std::function<std::unique_ptr<Transfers>(Loop&)> make_transfers;
  std::function<std::unique_ptr<Spooler>(Spooler::Durable)> make_spooler;
  std::function<std::unique_ptr<Uplink>(Uplink::Callbacks)> make_uplink;
  StartTrainer start_trainer;
  std::function<DiskSpace()> disk_space;  // of the state folder
  std::function<WallTime()> wall;
};
// This machine's.
[[nodiscard]] Surroundings real_surroundings(const AgentSetup& setup, const StatePaths& state);

class Agent {
 public:
  Agent(AgentSetup setup, const StatePaths& state) : Agent(setup, state, real_surroundings(setup, state)) {}
  // `state` outlives the agent.
  Agent(AgentSetup setup, const StatePaths& state, Surroundings surroundings);
  ~Agent();

  // Works until drained. 0: drained well; 1: the worker's disk is broken, or the coordinator refuses it for good.
  [[nodiscard]] int run();
  // Trainers checkpoint and end, items are delivered, within Options::drain. A second call ends at once.
  void drain();

 private:
  void opened(std::uint64_t connection);
  void received(std::uint64_t connection, const std::shared_ptr<wire::Envelope>& envelope);
  void lost(std::uint64_t connection, const std::string& why);
  void welcome(const wire::Welcome& welcome);
  void renew();
  void renewed(const wire::CertificateIssued& issued);
  void refused(const std::string& code, const std::string& message);
  void tick();
  void beat();
  void flush();
  void begin_drain();
  void end_when_drained(TimePoint deadline);
  void fatal(const std::string& message);
  void say_hello(wire::Hello& hello);
  [[nodiscard]] std::string unfit();

  const AgentSetup setup_;
  const StatePaths& state_;
  const std::unique_ptr<Loop> loop_;
  const std::unique_ptr<Transfers> transfers_;
  const std::function<DiskSpace()> disk_space_;
  const std::function<WallTime()> wall_;
  DiskRoom room_;
  Contact contact_;
  std::unique_ptr<JobRunner> runner_;
  std::unique_ptr<Uplink> link_;
  std::uint64_t connection_ = 0;  // number of the present one; 0: none
  bool welcomed_ = false;
  bool draining_ = false;
  bool lapse_told_ = false;
  TimePoint asked_{};  // when the Hello left
  TimePoint next_beat_{};
  TimePoint next_renewal_{};
  bool greeted_ = false;     // the coordinator has welcomed this process
  std::uint64_t epoch_ = 0;  // the coordinator's; grows with each of its starts
  int exit_code_ = 0;
};

}  // namespace fathom::worker
