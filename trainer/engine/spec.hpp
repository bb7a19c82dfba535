// A job's settings (docs/protocol.md, "settings") and inputs as typed values. Parsing checks presence, type and range
// of every key the trainer uses; a mistake is a JobError of class config that names the key. Plain values; thread: none
// shared.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "trainer/adapters/prune.hpp"
#include "trainer/model/precision.hpp"
#include "trainer/optim/schedule.hpp"

namespace fathom::trainer {

enum class JobKind { adapter, fusion, prune, evaluate, finetune };

// Adapter, fusion and finetune jobs train; the others measure.
constexpr bool trains(JobKind kind) { return kind != JobKind::prune && kind != JobKind::evaluate; }

// Layers 0..n-1 without adapters. lo == hi unless robust, where every optimizer step draws its own n from lo..hi.
// hi == kToLast means L-1, which is known only with the model: bound_drop() puts the number in.
struct Drop {
  static constexpr std::uint32_t kToLast = 0xFFFFFFFF;
  std::uint32_t lo = 0;
  std::uint32_t hi = 0;
  bool robust = false;
  bool operator==(const Drop&) const = default;
};

struct TrainSpec {
  double lr = 0;
  std::uint32_t epochs = 0;
  std::uint32_t batch = 0;       // rows of one pass
  std::uint32_t max_length = 0;  // tokens, special ones included
  ScheduleKind schedule = ScheduleKind::linear;
  double warmup = 0;  // see warmup_steps()
  double weight_decay = 0;
  double clip = 1.0;                // 0: none
  std::uint32_t accumulation = 1;   // passes of one optimizer step
  std::uint32_t patience = 0;       // end after so many epochs without a better one; 0: never
  bool zero_gradients = false;      // grads: zero, see TrainingOptions
  bool lagged_regularizer = false;  // regularizer: lagged, see TrainingOptions
};

struct Objective {
  bool maximize = true;
  std::optional<std::uint32_t> depth;  // judged at this depth; absent: at the job's own
};

struct JobSpec {
  nlohmann::json settings;  // as received; goes into fathom.json
  JobKind kind = JobKind::adapter;
  std::string model;            // as Resources::model() takes it
  bool frozen_dropout = false;  // recipe "hf": dropout stays active in frozen layers below the first trained part
  Precision precision = Precision::fp32;
  std::string metric;  // asked for: the task's, else the objective's
  Objective objective;
  nlohmann::json task;
  std::string task_name;
  std::uint64_t seed = 0;
  Drop drop;                          // adapter, fusion
  nlohmann::json adapter;             // adapter: config name and overrides, without `share`
  Share share = Share::none;          // adapter
  TrainSpec train;                    // kinds that train
  std::uint32_t keep_best = 1;        // kinds that train: so many of the best epochs stay in the final tree
  std::vector<std::string> set;       // fusion: member names in order
  std::string fusion_config;          // fusion: "dynamic" | "static"
  bool fresh_head = true;             // fusion: else the target member's head is taken over
  Keep keep;                          // prune
  bool mask_padding = true;           // prune: pad tokens count for nothing in the mean attention
  std::vector<std::uint32_t> depths;  // evaluate; empty: all
  // Optimizer steps after which a job that trains is measured and reports, beside the ends of epochs; rising. Asked for
  // by whoever judges it, no part of the settings: results are the same without.
  std::vector<std::uint64_t> rungs;
  // Full names of settings ("train.lr") that may be other ones in the checkpoint it goes on from: whoever assigns the
  // job changes them on the way, or takes the checkpoint of another job that differs in nothing else.
  std::vector<std::string> explored;
};

JobSpec parse_spec(const nlohmann::json& settings);

// A final/ tree that a job starts from.
struct Input {
  std::string name;         // of the member; "source"
  std::string job;          // id
  std::string folder;       // relative to the job's folder; of one below the root: to the data root
  bool below_root = false;  // a member that no job made: an adapter in an existing folder
};

// Members of a fusion in the order of its set; one source for prune and evaluate. JobError config when the inputs do
// not fit the kind.
std::vector<Input> parse_inputs(const JobSpec& spec, const nlohmann::json& inputs);
// The trained members of a benchmark, so many, in the order of the inputs. JobError config when there are fewer.
std::vector<Input> parse_members(std::size_t count, const nlohmann::json& inputs);

// The word of settings.precision, fp32 when it is missing. JobError config for another one.
Precision precision_of(const nlohmann::json& settings);

// "rungs" of the inputs. JobError config when they are no rising steps from 1 on.
std::vector<std::uint64_t> parse_rungs(const nlohmann::json& inputs);

// "explored" of the inputs: numbers of `train` on which neither tensors nor rows depend. JobError config for others.
std::vector<std::string> parse_explored(const nlohmann::json& inputs);

// `model` of the settings as Resources::model() takes it: the path of a folder, or kRandom and that of a config.json.
inline constexpr const char* kRandom = "random:";
std::string model_in(const nlohmann::json& settings);

nlohmann::json to_json(const Drop& drop);
// `where` names the key in messages. A robust drop without lo begins at 0, without hi it goes to the last layer.
Drop parse_drop(const nlohmann::json& drop, const std::string& where);

}  // namespace fathom::trainer
