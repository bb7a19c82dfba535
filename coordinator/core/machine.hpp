// Inside the core: the one place where a job changes its state, with every index and counter that follows. evolve() is
// its only user.
// Thread: the core's strand. Failure: move_job() refuses what the table does not have, and changes nothing then.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "common/result.hpp"
#include "coordinator/core/state.hpp"

namespace fathom::event {
class SweepSubmitted;
}

namespace fathom::core {

// What the new state needs to know, as far as it needs it.
struct Arrival {
  LeaseId lease{};                               // leased
  SmallText error_class{}, text{};               // failed; text: cause, message or reason of every other
  std::int64_t until_wall_ms = 0, delay_ms = 0;  // backoff
  Outcome outcome{};                             // succeeded, stopped
  ResultMark mark{};                             // succeeded
  std::uint32_t open = 0;                        // blocked: jobs that it waits for
};

// Moves `job` as the table says. The caller has filled in what the move reports (attempt, counters) where the indexes
// depend on it: `suspect` before a job becomes Ready, `attempt` and `lease` before it is Leased.
Status move_job(State& state, Job& job, Move move, Arrival arrival = {});

// A grant of the sweep, on the clock of fair share (schedule.cpp).
void count_grant(State& state, Sweep& sweep);

// A lease on a free slot, in every index. The slot was checked.
void add_lease(State& state, const Lease& lease);
// Out of every index again. For move_job() alone: a lease ends with the state that holds it.
void end_lease(State& state, LeaseId id);

// Takes a worker's devices out of the placement indexes, and back in after a change. Only ready workers are in.
void unindex_worker(State& state, const Worker& worker);
void index_worker(State& state, const Worker& worker);

// Marks what follow_up() has to look at after a new rung value or verdict of the setting.
void mark_setting(State& state, const Sweep& sweep, const StopGroup& group, sweeps::JobIndex setting);
// …and whether verdicts of the group that were held are due.
void mark_overdue(State& state, const Sweep& sweep, std::uint32_t group);
// …whether the job has to pause, or may go on; of a population, whether any member has.
void mark_pause(State& state, const Sweep& sweep, const Job& job);
// …after a job of a group has ended, and after it was opened again. For jobs without a group nothing happens.
void end_in_group(State& state, Sweep& sweep, const Job& job);
void open_in_group(State& state, Sweep& sweep, const Job& job);
// …and after a job ended.
void mark_sweep(State& state, const Sweep& sweep);

// A stopping method judges the job.
bool is_grouped(const Sweep& sweep, const Job& job);
// Jobs of the sweep that have ended, in whatever way.
std::size_t ended_jobs(const Sweep& sweep);

// "model\ntask": the key under which a device that holds both is found.
std::string warm_key(const std::string& model, const std::string& task);
// Makes the sweep and its jobs from the plan. The event's numbers were checked.
void add_sweep(State& state, const event::SweepSubmitted& event, std::int64_t wall_ms,
               std::shared_ptr<const sweeps::Plan> plan);

// What is kept of a sweep for moves of its jobs alone. add_sweep() makes it; it goes when the sweep has ended, and
// comes again when it is opened once more.
void make_move_indexes(Sweep& sweep);
void drop_move_indexes(Sweep& sweep);

// FNV-1a, for digests and to tell contents apart; stable on every machine.
std::uint64_t hash_of(std::string_view text, std::uint64_t seed = 0xcbf29ce484222325ULL);

// Jobs that its needs look at and that have not ended, counted as the end of each will be: per need and contender.
std::uint32_t open_inputs(const State& state, const Job& job);
// Blocked, and nothing of its own sweep that it looks at is open: what is due for it (needs.cpp).
void mark_needs(State& state, const Job& job);
// A job that looks at other sweeps became Blocked, or is Blocked no more.
void watch_outside(State& state, const Job& job);
void forget_outside(State& state, const Job& job);
// The sweep has come, or a job of it has ended or was opened again: those outside that look at it choose anew.
void tell_outside(State& state, const Sweep& sweep);
// A job of another sweep is an input: its files are kept until the job that takes them has ended, and let go then.
void keep_input(Job& input, std::vector<File> files);
void let_input_go(Job& input);
// A job of the sweep may get a slot: it is not paused and runs fewer than limits.concurrency. A limit that was lowered
// lets what runs go on, so more may run than it says.
bool may_start(const Sweep& sweep);
// The job is never to share its devices.
bool runs_alone(const State& state, const Job& job);
// Processes that work on the job together, each on a device of its own: what the sweep asks for, in jobs that train.
std::uint32_t ranks_of(const State& state, const Job& job);
// The devices of one ready worker, all of one kind, that will be empty soonest for a gang of so many ranks; those that
// are empty already have running = 0. Empty: no worker has so many.
std::vector<FreeDevice> gang_places(const State& state, const Sweep& sweep, std::uint32_t ranks);
// The device computes what jobs of the sweep are asked to: their precision.
bool computes(const Sweep& sweep, const DeviceState& device);

}  // namespace fathom::core
