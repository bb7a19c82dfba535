// What a sweep file becomes: jobs in their fixed order and what each needs. Plain values, made by expand() and read by
// the coordinator's core, `fathom plan` and the result tables. Pure: no clock, no files, no randomness of its own.
// The language and its counts: docs/sweeps.md.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "common/small_text.hpp"
#include "sweeps/job_id.hpp"
#include "sweeps/job_parameters.hpp"
#include "sweeps/job_settings.hpp"

namespace fathom::sweeps {

class Space;

// Position of a job in Plan::jobs: stage, task, drop, set, parameters by name, seed (rule 16).
using JobIndex = std::uint32_t;

enum class Kind { adapter, fusion, prune, evaluate, finetune, benchmark };
const char* name_of(Kind kind);

enum class Goal { maximize, minimize };
enum class Precision { fp32, bf16, tf32 };
const char* name_of(Precision precision);
enum class OnMissing { skip, fail, wait };

// The jobs of one setting, one per seed, that compete in a Need together as a mean over seeds.
struct Contender {
  std::vector<JobIndex> jobs;  // in file order of seeds; never empty
};

// Jobs of another sweep on the same coordinator that compete for a place in a need. Which they are is known when that
// sweep is there (elsewhere.hpp).
struct Elsewhere {
  std::string sweep, stage;
  nlohmann::json where;              // conditions on their columns, as in the resolved sweep
  std::string task;                  // whose adapter
  std::string drop;                  // of this drop only; empty: of any
  std::optional<std::int64_t> seed;  // of this seed only
};

// What settings compete by: of the objectives of their seeds. The median of an even number is the mean of the two in
// the middle.
enum class Stat { mean, median, min, max };
const char* name_of(Stat stat);

// One input of a job: the model of another job, chosen by results. Contenders whose jobs all Succeeded compete by
// `stat` of their objectives; the contender of place `rank` (0 = best, ties: file order) wins and its job `seed_place`
// is the input. A Need with one contender of one job is a plain dependency.
struct Need {
  std::string name;  // of the member in its set (the task's name), or "source"
  std::vector<Contender> contenders;
  std::uint32_t rank = 0;
  std::uint32_t seed_place = 0;  // index into the winner's jobs
  bool best_seed = false;        // instead of seed_place: the winner's job with the best objective (`seeds: best`)
  bool accept_stopped = false;   // a Stopped job's best checkpoint may compete
  Goal goal = Goal::maximize;
  OnMissing on_missing = OnMissing::skip;
  Stat stat = Stat::mean;
  // Of other sweeps: they compete beside the contenders. The input is then the winner's job of `seed`, but for
  // best_seed and where only jobs of one seed compete.
  std::vector<std::shared_ptr<const Elsewhere>> elsewhere;
  std::int64_t seed = 0;
};

// A member that is an adapter in an existing folder.
struct Folder {
  std::string name;  // of the member
  std::string path;  // relative to the worker's data root
};

inline constexpr std::uint32_t kNoSearch = 0xffffffff;

// The set of a fusion that is chosen by results (`sets: {greedy: k}`). Of its needs the first `pool` are the adapters
// that may be taken, in the order of the file; each further one is a choice among fusions that tried one adapter more
// (greedy.hpp).
struct GreedySet {
  std::uint32_t pool = 0;
  std::uint32_t own = 0;               // of the pool: the target's adapter, the first of every set
  std::optional<std::uint32_t> tries;  // a fusion that is itself tried: which of those that are left it adds
};

struct Job {
  JobId id;
  std::uint32_t stage = 0;  // index into Plan::stages
  Kind kind = Kind::adapter;
  SmallText task;  // the task that scores; a fusion's target
  SmallText drop;  // "standard", "specialized-NN", "robust-LL-HH", "robust-all"; of the source for prune and evaluate
  SmallText set;   // fusion: members joined by '+', else empty
  std::uint32_t keep = 0;  // prune: adapters kept in each layer
  std::int64_t seed = 0;
  JobParameters parameters;  // sampled parameters only
  JobSettings settings;      // what the trainer runs and what `id` hashes
  std::vector<Need> needs;
  SmallText group;           // comparison group of the stopping method (rule 7); equal text = same group
  std::uint32_t epochs = 0;  // full budget; 0 for prune and evaluate
  // `sampler: tpe`: parameters are not known yet. Which trial of which of Plan::searches; settings have the space and
  // this number in their place (trial.hpp).
  std::uint32_t search = kNoSearch;
  std::uint32_t trial = 0;
  std::optional<GreedySet> greedy;  // `set` and the inputs are not known yet
  std::vector<Folder> folders;      // fusion: its members that are no jobs; `needs` has the others
};

// Settings that are drawn while the sweep runs: of one task, drop and set of a stage.
struct TrialGroup {
  std::shared_ptr<const Space> space;
  nlohmann::json excludes;                    // conditions on points that are not drawn
  std::vector<std::vector<JobIndex>> trials;  // the jobs of each, one per seed
};

// max of a rule by steps that names none: rungs go on for as long as the training does.
inline constexpr std::uint32_t kNoLastStep = 1'000'000'000;

// A stopping method with the rules of docs/sweeps.md "Early stopping". Absent = nothing is stopped early.
struct StopRule {
  std::string method = "asha";  // asha | hyperband | halving | median | percentile | threshold | patience | pbt
  bool promote = false;         // asha: pause at each rung, and promote the best of it
  bool round_up = false;        // halving: settings that go on, n / eta rounded up
  std::uint32_t eta = 4;
  std::uint32_t min = 1;  // first rung; of the other methods the first epoch that is judged
  std::uint32_t max = 0;  // epochs; 0: tasks differ, a group takes Job::epochs of its jobs
  bool ties_continue = true;
  std::uint32_t bootstrap = 0;         // entries of a rung before it stops anything
  std::uint32_t brackets = 1;          // bracket i starts at rung i
  std::uint32_t rungs = 0;             // so many, counted down from max; 0: up from min
  std::uint32_t every = 1;             // epochs between judgements from min on; pbt: its interval
  std::uint32_t startup = 3;           // settings that have to be there to compare with
  bool among_all = false;              // compare with running ones too
  std::uint32_t window = 0;            // of running averages, in epochs; 0: from the first
  double percentile = 50;              // of the best values
  std::optional<double> lower, upper;  // values outside stop
  std::uint32_t patience = 1;          // epochs without a better value
  double min_delta = 0;                // by which a value has to be better
  bool by_step = false;                // min, max, every and rungs count optimizer steps
  // pbt (search/population.hpp): shares of a population that clone and are cloned, the chance that a parameter is drawn
  // anew, what it is multiplied by otherwise, what parameters are drawn from, and points that are never taken.
  double quantile = 0.25;
  double resample = 0.25;
  std::vector<double> factors = {1.2, 0.8};
  std::shared_ptr<const Space> space;
  nlohmann::json excludes = nlohmann::json::array();
};

struct Stage {
  std::string name;
  Kind kind = Kind::adapter;
  std::optional<StopRule> stop;
  JobIndex first = 0;  // its jobs are [first, first + count)
  JobIndex count = 0;
};

struct Limits {
  std::uint32_t concurrency = 0;  // jobs at once; 0 = no limit
  std::int64_t wall_seconds = 0;  // 0 = none
  std::int64_t job_wall_seconds = 0;
  std::uint32_t failed = 0;  // the sweep is cancelled when more jobs than this failed; 0 = no limit
};

struct Retry {
  std::uint32_t max = 3;  // retries after the first attempt
  std::vector<std::string> not_on = {"config", "diverged"};
};

// Whether results of equal jobs that Succeeded before are taken, and how old they may be.
struct Cache {
  bool use = true;
  std::int64_t ttl_seconds = 0;  // 0: of any age
};
// Whom to tell about the sweep. `webhook` and `secret` as in the file: a reference `${env:NAME}` is only followed where
// the message is sent.
struct Hook {
  std::vector<std::string> on;  // done | failed | cancelled | job_failed
  std::string webhook;
  std::string secret;  // empty: messages are not signed
};

struct Plan {
  std::string name;
  Goal goal = Goal::maximize;
  std::vector<Stage> stages;
  std::vector<Job> jobs;
  std::vector<TrialGroup> searches;
  Limits limits;
  Retry retry;
  Cache cache;
  std::uint32_t keep_latest = 1;          // 1..20, resumable checkpoints of a job that stay, and one more
  std::uint32_t priority = 50;            // 0..100, higher runs first
  std::uint32_t weight = 1;               // 1..1000, of its share beside sweeps of its priority
  std::uint32_t ranks = 1;                // processes that train a job together
  std::string recipe;                     // of all jobs: fast | hf
  Precision precision = Precision::fp32;  // of all jobs: only devices that have it run them
  std::vector<Hook> notify;
  std::string extends;             // id of a sweep whose jobs of fewer epochs jobs of this one go on from; empty: none
  std::vector<std::string> notes;  // warnings for a person: groups smaller than eta, prunes that make no job, …
};

}  // namespace fathom::sweeps
