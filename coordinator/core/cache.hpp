// Results that are taken instead of made: no job is trained whose result another job has, or is making.
//
// A result is named by what was asked (the job's id) and what it was made from: the hashes of the base model and of the
// task's data, as the first attempt of the sweep that starts says them (it binds the sweep), and of the final trees of
// the job's inputs. Only a job that Succeeded has one: a Stopped job never ran its full budget.
//
// A Ready job that asks for what another one has or makes stands aside, in no queue:
//  - the sweep is not bound yet: until one of its task's jobs has started; where all of them stand aside, the first
//    goes on, and is withdrawn as soon as it has said the hashes and its result turns out to be known;
//  - the result is known: until it was read from the log (ReadResults), then it Succeeds with it;
//  - another sweep's job with a lease makes it: until that lease ends.
// A job that runs is withdrawn when it says that it makes what another one has or makes, or when another one has made
// it. Why so: docs/decisions/0021. Thread: the core's strand. Failure: none. Everything but the first four functions is
// for evolve() alone.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "coordinator/core/state.hpp"

namespace fathom::core {

// The job's id as far as its result goes: of one whose parameters were drawn, that of a job with these parameters.
sweeps::JobId asked_id(const State& state, const Job& job);
// Under which Sweep::bindings has what the job works with: its task and, where members are adapters in folders, these:
// the data hash that an attempt says covers them.
std::string binding_name(const sweeps::Job& planned);
// Of the files' paths and hashes, in any order.
std::uint64_t tree_hash(std::vector<File> files);
// 0: it has none, or its sweep is not bound or its inputs are not chosen yet.
std::uint64_t result_key(const State& state, const Job& job);
// The result that `job` takes: young enough or pinned, the newest; nullptr: there is none, or its sweep takes
// none.
const KnownResult* known_result(const State& state, const Job& job, std::uint64_t key);

// A job that became Ready: aside or into its queue; and out again.
void put_in(State& state, Sweep& sweep, const Job& job);
void put_in_queue(const State& state, Sweep& sweep, const Job& job);
void take_out(State& state, Sweep& sweep, const Job& job);
// A job got a lease, and lost it.
void begin_training(State& state, Sweep& sweep, const Job& job);
void stop_training(State& state, Sweep& sweep, const Job& job);
// It Succeeded. add_result(): what it makes known, where there is no more of it than that.
void add_result(State& state, sweeps::JobId asked, const ResultMark& mark, JobNumber job);
void know_result(State& state, const Job& job);
// …and jobs that run take its result instead of making it once more: those that began before it, which takes none.
void withdraw_makers(State& state, const Job& job);
// An attempt started and says what it works with.
void bind(State& state, Job& job, const std::string& base_sha256, const std::string& data_sha256);
// Where nobody is left who could bind the job's task: one of those aside goes on. After each move of a job.
void settle_binding(State& state, Sweep& sweep, const Job& job);
// …for every task of a new sweep.
void seek_bindings(State& state, Sweep& sweep);
// Jobs of other sweeps that ask for the same are looked at again.
void tell_twins(State& state, const Job& job);
// …one of them, if it is Ready.
void look_again(State& state, Sweep& sweep, const Job& job);

}  // namespace fathom::core
