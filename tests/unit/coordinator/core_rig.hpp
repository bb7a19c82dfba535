// A coordinator's core under test: gives commands, keeps the log, evolves a second state from the log's bytes, and
// after every step checks the invariants and that both states are the same. Thread: one; owned by a test.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "coordinator/core/core.hpp"
#include "coordinator/core/inspect.hpp"
#include "coordinator/core/snapshot.hpp"
#include "sweeps/plan.hpp"
#include "sweeps/sweep.hpp"

namespace fathom::core::test {

// Makes plans without a sweep file. Jobs get ids "0000000000000000", "…01", … in their order.
class Planner {
 public:
  Planner();
  // Opens a stage; jobs added next are its own.
  Planner& stage(const std::string& name, sweeps::Kind kind);
  // Early stopping for the stage that is open.
  Planner& stop(std::uint32_t eta, std::uint32_t min, std::uint32_t max);
  // An adapter of a task with one sampled parameter; the group is stage and task (all seeds together).
  sweeps::JobIndex adapter(const std::string& task, double lr = 0.001, std::int64_t seed = 1);
  // A job that takes one model for each need.
  sweeps::JobIndex taking(const std::string& task, std::vector<sweeps::Need> needs);
  sweeps::Plan plan;

 private:
  sweeps::Job& add(const std::string& task);
};

// The best of some jobs, each a setting of its own.
sweeps::Need best_of(const std::string& name, const std::vector<sweeps::JobIndex>& jobs);

struct Rig;

// A worker as the core sees it: holds what was assigned, numbers its items.
struct Hand {
  Fence fence;
  SendAssign assign;
  std::uint64_t sequence = 0;
};
class FakeWorker {
 public:
  FakeWorker(Rig& rig, std::string uid, std::vector<std::uint32_t> slots);
  // Joins (again) with everything it holds; what it has to abandon it forgets.
  Step join(bool restarted = false);
  Step gone(bool drained = false);
  Step beat(const std::string& unfit = "");
  // The next item of a job that it holds.
  Step send(JobNumber job, Item what);
  Step started(JobNumber job);
  Step report(JobNumber job, std::uint32_t epoch, double objective);
  Step checkpoint(JobNumber job, std::uint32_t epoch, const std::string& sha, bool best = true);
  Step finish(JobNumber job, double objective);
  Step fail(JobNumber job, const std::string& error_class, bool alone = false, bool watchdog = false);
  Step stopped(JobNumber job, double objective);
  [[nodiscard]] bool holds(JobNumber job) const { return held.contains(job); }
  [[nodiscard]] std::vector<JobNumber> jobs() const;

  std::string uid;
  std::vector<Device> devices;
  WorkerNumber number;
  std::map<JobNumber, Hand> held;
  std::map<JobNumber, std::string> stops;  // cause of the last SendStop
  std::vector<SendAck> acks;
  bool connected = false;

 private:
  Rig& rig_;
};

// Keeps what it is given, with the plans of a rig.
class RigShelf : public Shelf {
 public:
  explicit RigShelf(const Rig& rig) : rig_(rig) {}
  Result<std::uint64_t> put(std::string_view bytes) override;
  Result<std::string> get(std::uint64_t place) override;
  void drop(std::uint64_t place) override { kept.erase(place); }
  Result<PlanPtr> plan(std::uint64_t submitted) override;
  [[nodiscard]] bool has_plan(std::uint64_t submitted) const override { return submitted <= durable; }

  std::map<std::uint64_t, std::string> kept;
  std::uint64_t durable = ~std::uint64_t{0};  // events up to here
  int brought = 0;                            // calls of get()
  bool full = false;

 private:
  const Rig& rig_;
  std::uint64_t next_ = 1;
};

struct Rig {
  explicit Rig(Options options = {});
  // Sweeps that ended are put away, at once unless said otherwise. Before the first command.
  void put_away(Stay stay = {Millis(0), 0});
  Step give(const Command& command);
  // Submits; the answer must be a sweep.
  SweepNumber submit(const sweeps::Plan& plan, const std::string& key = "");
  Step tick(Millis passed);
  // A new core from the log, as after a kill: connections are gone, timers start again. With a snapshot it is restored
  // from that and from the events after it, and has to be what the whole log gives.
  void restart();
  void take_snapshot();
  // `ahead`: jobs that it keeps waiting on each device.
  FakeWorker& worker(const std::string& uid, std::vector<std::uint32_t> slots = {1}, std::uint32_t ahead = 0);
  // The job with a phase and its place in the newest sweep.
  const Job& job(sweeps::JobIndex index) const;
  JobNumber number(sweeps::JobIndex index) const;
  Phase phase(sweeps::JobIndex index) const { return phase_of(job(index)); }
  const State& state() const { return core->state(); }
  const Sweep& sweep() const { return state().sweeps.back(); }
  std::uint32_t count(Phase phase) const { return sweep().counts[static_cast<std::size_t>(phase)]; }
  // Of the sweep that this event of the log submitted.
  [[nodiscard]] Result<PlanPtr> plan_of(std::uint64_t seq) const;
  // Events of one kind in the log.
  std::size_t logged(event::Event::PayloadCase kind) const;

  Options options;
  std::unique_ptr<Core> core;
  State replica;
  Now now;
  std::vector<std::string> log;                                      // serialized events
  std::vector<snapshot::Record> snapshot;                            // empty: none was taken
  std::map<std::string, std::shared_ptr<const sweeps::Plan>> plans;  // by resolved text
  std::map<std::string, std::unique_ptr<FakeWorker>> workers;
  std::vector<std::string> released;        // artifacts
  std::vector<ReadResults::Wanted> wanted;  // asked for, not read yet
  bool reading = true;                      // results are read as soon as they are wanted
  bool lose_results = false;                // …and cannot be
  std::shared_ptr<RigShelf> shelf;          // put_away()
  Stay stay;
  bool checking = true;  // invariants and replica after each step

 private:
  void deliver(const Step& step);
  void read_wanted();
  Status apply_bytes(State& state, const std::string& bytes) const;
  Result<State> restored() const;
};

}  // namespace fathom::core::test
