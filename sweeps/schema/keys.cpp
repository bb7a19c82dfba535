// The rows. A changed default or identity flag changes job ids: the golden files in tests/golden/sweeps will say so.
#include <array>

#include "sweeps/schema/schema.hpp"

namespace fathom::sweeps {
namespace {

constexpr double kHuge = 1e9;  // counts above it are typing mistakes

// One row per key, whatever its width.
// clang-format off
constexpr Key kRoot[] = {
    {.name = "version", .type = Type::integer, .required = true, .low = 1, .high = 1, .one_value = true, .doc = "version of the language"},
    {.name = "name", .type = Type::name, .required = true, .doc = "the sweep's name, also its id"},
    {.name = "notes", .type = Type::text, .doc = "free text, kept with the sweep"},
    {.name = "include", .doc = "a file or a list of files that this one is laid over: maps merge key by key, lists and scalars are replaced; relative to the file it stands in"},
    {.name = "model", .type = Type::section, .required = true, .identity = true, .doc = "the frozen base"},
    {.name = "recipe", .type = Type::word, .fallback = "\"fast\"", .identity = true, .words = "fast|hf", .doc = "`hf`: dropout stays active in the frozen base; `fast`: not below the first trainable part"},
    {.name = "precision", .type = Type::word, .fallback = "\"fp32\"", .identity = true, .words = "fp32|bf16|tf32", .doc = "asked for, never taken from the device. `bf16`: where rows meet a matrix of the base, both are rounded to bfloat16 and summed in float32; everything else stays float32. `tf32`: products of float32 on a GPU's tensor cores, factors with 10 bits of mantissa. Only devices that have it run such jobs: `bf16` GPUs and CPUs with avx512_bf16, `tf32` GPUs"},
    {.name = "objective", .type = Type::section, .identity = true, .doc = "what stopping and choosing compare"},
    {.name = "tasks", .required = true, .identity = true, .doc = "name: {…}, in the order of the file"},
    {.name = "adapter", .type = Type::section, .identity = true, .doc = "the adapter's shape"},
    {.name = "train", .type = Type::section, .identity = true, .doc = "how jobs train"},
    {.name = "parameters", .identity = true, .doc = "name: values to sample; a key here replaces the fixed one. At the root: for adapter and finetune stages"},
    {.name = "search", .type = Type::section, .doc = "how parameters are sampled"},
    {.name = "zip", .doc = "lists of parameter names that advance together instead of being crossed"},
    {.name = "exclude", .doc = "list of conditions; a point that meets one of them makes no job"},
    {.name = "seeds", .type = Type::integers, .fallback = "[1]", .identity = true, .low = 0, .high = 4294967295.0, .doc = "one job per setting and seed. At the root: for adapter and finetune stages"},
    {.name = "stages", .required = true, .doc = "name: {…}, in the order of the file; a stage's inputs stand before it"},
    {.name = "resources", .type = Type::section, .doc = "what a job takes"},
    {.name = "limits", .type = Type::section, .doc = "of the sweep"},
    {.name = "retry", .type = Type::section, .doc = "of failed attempts"},
    {.name = "checkpoint", .type = Type::section, .doc = "when and how many"},
    {.name = "cache", .fallback = "true", .doc = "take results of equal jobs that Succeeded before: true, false or {use, ttl}"},
    {.name = "priority", .type = Type::integer, .fallback = "50", .low = 0, .high = 100, .doc = "higher runs first"},
    {.name = "weight", .type = Type::integer, .fallback = "1", .low = 1, .high = 1000, .doc = "of its share of the slots, beside sweeps of the same priority"},
    {.name = "notify", .doc = "list of webhooks that are told when the sweep ends: see Notifications"},
};

constexpr Key kModel[] = {
    {.name = "path", .type = Type::path, .identity = true, .doc = "Hugging Face folder below the worker's data root"},
    {.name = "config", .type = Type::path, .identity = true, .doc = "instead of `path`: a config.json, without weights; below the data root. A tokenizer is taken from its folder, if there is one"},
    {.name = "init", .type = Type::word, .identity = true, .words = "random", .doc = "with `config`: weights are drawn, always the same ones; for timing"},
};

constexpr Key kObjective[] = {
    {.name = "metric", .type = Type::word, .fallback = "\"primary\"", .identity = true, .words = "primary|accuracy|f1|f1_macro|f1_micro|matthews|pearson|spearman|mse", .doc = "`primary`: each task's own; `eval/NAME` is the same as `NAME`"},
    {.name = "goal", .type = Type::word, .fallback = "\"maximize\"", .identity = true, .words = "maximize|minimize", .doc = "which way is better"},
    {.name = "depth", .type = Type::integer, .fallback = "null", .identity = true, .low = 0, .high = 1000, .doc = "measure every job at this drop depth, a specialised one of a larger n at its n, below which it has nothing to drop; absent: at its own n, a robust job at the mean over its range"},
};

constexpr Key kTask[] = {
    {.name = "preset", .type = Type::word, .identity = true, .words = "glue/cola|glue/sst2|glue/mrpc|glue/stsb|glue/qqp|glue/mnli|glue/qnli|glue/rte|glue/wnli", .doc = "columns, labels, metric and file names of a known task"},
    {.name = "path", .type = Type::path, .identity = true, .doc = "folder: made by `fathom data` (train.tsv, dev.tsv, labels.json), or a preset's"},
    {.name = "data", .identity = true, .doc = "a file that is split, or {train: FILE, eval: FILE}"},
    {.name = "split", .type = Type::number, .identity = true, .low = 0, .high = 0.9, .open = true, .doc = "share of the rows of one file that score"},
    {.name = "split_seed", .type = Type::integer, .fallback = "0", .identity = true, .low = 0, .high = 4294967295.0, .doc = "of that split"},
    {.name = "format", .type = Type::word, .identity = true, .words = "csv|tsv|jsonl", .doc = "absent: by the file's ending"},
    {.name = "text", .type = Type::texts, .fallback = "[\"text\"]", .identity = true, .doc = "one column name, or two for pairs"},
    {.name = "label", .type = Type::text, .fallback = "\"label\"", .identity = true, .doc = "column name"},
    {.name = "labels", .type = Type::texts, .fallback = "null", .identity = true, .doc = "label names in the order of their ids; absent: labels.json beside the file, else code-point order"},
    {.name = "metric", .type = Type::word, .fallback = "null", .identity = true, .words = "accuracy|f1|f1_macro|f1_micro|matthews|pearson|spearman|mse", .doc = "the task's primary metric; absent: matthews for CoLA, spearman for STS-B and regressions, else accuracy"},
    {.name = "train", .type = Type::section, .identity = true, .doc = "as at the root, for this task"},
};

constexpr Key kData[] = {
    {.name = "train", .type = Type::path, .required = true, .identity = true, .doc = "rows that train"},
    {.name = "eval", .type = Type::path, .required = true, .identity = true, .doc = "rows that score"},
};

constexpr Key kAdapterKeys[] = {
    {.name = "config", .type = Type::word, .fallback = "\"seq_bn\"", .identity = true, .words = "seq_bn|double_seq_bn|par_bn", .doc = "the library's preset"},
    {.name = "reduction", .type = Type::number, .identity = true, .low = 0, .high = kHuge, .open = true, .setting = "reduction_factor", .doc = "the adapter's reduction_factor; absent: 16, par_bn 2"},
    {.name = "non_linearity", .type = Type::word, .identity = true, .words = "relu|swish|gelu|gelu_new|tanh|leakyrelu|sigmoid", .doc = "absent: relu, double_seq_bn swish"},
    {.name = "share", .type = Type::word, .fallback = "\"none\"", .identity = true, .words = "none|layers", .doc = "`layers`: one set of weights for all layers, at each place of its own; saved as an adapter whose layers are equal"},
};

constexpr Key kTrain[] = {
    {.name = "lr", .type = Type::number, .fallback = "0.0001", .identity = true, .low = 0, .high = 1e3, .open = true, .doc = "peak learning rate of AdamW"},
    {.name = "epochs", .type = Type::integer, .fallback = "3", .identity = true, .low = 1, .high = 100000, .doc = "full budget of a job"},
    {.name = "batch", .type = Type::integer, .fallback = "32", .identity = true, .low = 1, .high = 65536, .doc = "rows of one pass"},
    {.name = "max_length", .type = Type::integer, .fallback = "128", .identity = true, .low = 3, .high = 65536, .doc = "tokens, special ones included"},
    {.name = "schedule", .type = Type::word, .fallback = "\"linear\"", .identity = true, .words = "linear|cosine|constant", .doc = "of the learning rate, over `epochs`"},
    {.name = "warmup", .type = Type::number, .fallback = "0.0", .identity = true, .low = 0, .high = kHuge, .whole_from_one = true, .doc = "below 1: share of all steps; a whole number from 1: steps"},
    {.name = "weight_decay", .type = Type::number, .fallback = "0.0", .identity = true, .low = 0, .high = 1e3, .doc = "not for biases and LayerNorm"},
    {.name = "clip", .type = Type::number, .fallback = "1.0", .identity = true, .low = 0, .high = kHuge, .doc = "largest gradient norm; 0: none"},
    {.name = "gradient_accumulation", .type = Type::integer, .fallback = "1", .identity = true, .low = 1, .high = 65536, .doc = "passes of one optimizer step"},
    {.name = "grads", .type = Type::word, .fallback = "\"none\"", .identity = true, .words = "none|zero", .doc = "robust jobs: the gradient of layers that a step skips. `none`: absent, AdamW leaves them alone; `zero`: zero once they have had one, their moments decay and weight decay acts (torch before 2.0)"},
    {.name = "regularizer", .type = Type::word, .fallback = "\"before\"", .identity = true, .words = "before|lagged", .doc = "dynamic fusions: the gradient of the value regulariser joins its own step (`before` clipping, the paper) or the next one (`lagged`, AdapterTrainer today)"},
    {.name = "patience", .type = Type::integer, .identity = true, .low = 1, .high = 100000, .doc = "end after so many epochs without a better objective; absent: never"},
};

constexpr Key kParameter[] = {
    {.name = "values", .identity = true, .doc = "list (integers: also a..b); `NAME: [a, b]` is short for it"},
    {.name = "min", .type = Type::number, .doc = "lower end, included"},
    {.name = "max", .type = Type::number, .doc = "upper end, included"},
    {.name = "scale", .type = Type::word, .fallback = "\"linear\"", .words = "linear|log", .doc = "on which samples are even; min and max are always values, never exponents"},
    {.name = "samples", .type = Type::integer, .low = 2, .high = 100000, .doc = "points from min to max, both included"},
    {.name = "step", .type = Type::number, .low = 0, .high = kHuge, .open = true, .doc = "instead of samples: min, min + step, … up to max"},
    {.name = "when", .doc = "{OTHER: condition}: absent from the job unless the other parameter meets it"},
};

constexpr Key kSearch[] = {
    {.name = "sampler", .type = Type::word, .fallback = "\"grid\"", .words = "grid|random|sobol|tpe", .doc = "`grid`: all combinations; `random`: independent draws; `sobol`: draws that fill the space evenly; `tpe`: each draw from what those before came to, while the sweep runs"},
    {.name = "trials", .type = Type::integer, .low = 1, .high = 100000, .doc = "random, sobol: joint draws, one list for all tasks, drops and seeds of a stage; tpe: for each task, drop and set"},
    {.name = "seed", .type = Type::integer, .fallback = "0", .low = 0, .high = 4294967295.0, .doc = "random, sobol, tpe: of the draws; more trials keep the earlier ones"},
    {.name = "startup", .type = Type::integer, .fallback = "10", .low = 1, .high = 100000, .doc = "tpe: settings of a group that have to have ended before draws are made from them; until then they are even"},
};

constexpr Key kStage[] = {
    {.name = "kind", .type = Type::word, .words = "adapter|fusion|prune|evaluate|finetune|benchmark", .doc = "absent: the stage's name"},
    {.name = "drop", .type = Type::section, .identity = true, .kinds = kAdapter | kFusion, .doc = "drop depths; absent: standard"},
    {.name = "stop", .type = Type::section, .kinds = kTrained, .doc = "early stopping; absent: none"},
    {.name = "train", .type = Type::section, .identity = true, .kinds = kTrained, .doc = "as at the root, for this stage"},
    {.name = "adapter", .type = Type::section, .identity = true, .kinds = kAdapter, .doc = "as at the root, for this stage"},
    {.name = "parameters", .identity = true, .kinds = kTrained, .doc = "as at the root, for this stage; replaces a root parameter of the same name"},
    {.name = "search", .type = Type::section, .kinds = kTrained, .doc = "as at the root"},
    {.name = "zip", .kinds = kTrained, .doc = "as at the root"},
    {.name = "exclude", .kinds = kTrained, .doc = "as at the root"},
    {.name = "seeds", .type = Type::integers, .identity = true, .low = 0, .high = 4294967295.0, .kinds = kTrained, .doc = "as at the root; a fusion has its own or those of its members"},
    {.name = "needs", .type = Type::section, .required = true, .identity = true, .kinds = kFusion, .doc = "which adapters are the members"},
    {.name = "sets", .required = true, .identity = true, .kinds = kFusion, .doc = "list of adapter sets: each a list of tasks, `all` in file order, `{subsets: k}` (all sets of k tasks), `leave_one_out` (all tasks but one, for that one) or `{greedy: k, budget: epochs, among: tasks}` (the k that serve the target best, chosen while the sweep runs)"},
    {.name = "targets", .identity = true, .kinds = kFusion, .doc = "tasks that each set is trained for: a list, or `all`; absent: every task of the set"},
    {.name = "config", .type = Type::word, .fallback = "\"dynamic\"", .identity = true, .words = "dynamic|static", .kinds = kFusion, .doc = "the library's preset of AdapterFusion"},
    {.name = "head", .type = Type::word, .fallback = "\"fresh\"", .identity = true, .words = "fresh|member", .kinds = kFusion, .doc = "`member`: start from the head of the target's own adapter"},
    {.name = "from", .required = true, .identity = true, .kinds = kPrune | kEvaluate | kBenchmark, .optional = kBenchmark, .doc = "a stage or a list of stages"},
    {.name = "where", .identity = true, .kinds = kPrune | kEvaluate | kBenchmark, .doc = "{COLUMN: condition}: only these models"},
    {.name = "best", .type = Type::integer, .identity = true, .low = 1, .high = 100000, .kinds = kPrune | kEvaluate, .doc = "only the best so many settings of each group; absent: every model"},
    {.name = "per", .type = Type::texts, .fallback = "[\"task\"]", .identity = true, .kinds = kPrune | kEvaluate, .doc = "columns that make the groups of `best`; `task` is always one"},
    {.name = "keep", .type = Type::integers, .identity = true, .low = 1, .high = 10000, .kinds = kPrune, .doc = "adapters kept in each layer: one job each"},
    {.name = "threshold", .identity = true, .kinds = kPrune, .doc = "a number above 0 and below 1, or a list: in each layer the adapters whose mean attention reaches it stay, at least the best one; one job each. A prune stage has `keep`, `threshold` or both"},
    {.name = "by", .type = Type::word, .fallback = "\"layer\"", .identity = true, .words = "layer|global", .kinds = kPrune, .doc = "rank adapters in each layer, or once for all layers"},
    {.name = "data", .type = Type::word, .fallback = "\"train\"", .identity = true, .words = "train", .kinds = kPrune, .doc = "rows that the mean attention is taken over"},
    {.name = "rows", .type = Type::word, .fallback = "\"all\"", .identity = true, .words = "all", .kinds = kPrune, .doc = "how many of them"},
    {.name = "pad", .type = Type::word, .fallback = "\"masked\"", .identity = true, .words = "masked|counted", .kinds = kPrune, .doc = "pad tokens in that mean"},
    {.name = "retrain", .type = Type::boolean, .fallback = "false", .kinds = kPrune, .one_value = true, .doc = "this version does not train the pruned fusion again"},
    {.name = "depths", .fallback = "\"all\"", .identity = true, .kinds = kEvaluate, .doc = "drop depths: integers, or `all` = 0..L-1; a specialised model only from its n on"},
    {.name = "measure", .type = Type::words, .fallback = "[\"train\",\"infer\"]", .identity = true, .words = "train|infer", .kinds = kBenchmark, .doc = "steps of training, passes of inference; `parallel` has the latter only"},
    {.name = "subjects", .type = Type::section, .required = true, .identity = true, .kinds = kBenchmark, .doc = "what is measured"},
    {.name = "shape", .type = Type::section, .identity = true, .kinds = kBenchmark, .doc = "of the rows, which are drawn and have no padding"},
    {.name = "device", .type = Type::words, .fallback = "[\"cpu\"]", .identity = true, .words = "cpu|cuda", .kinds = kBenchmark, .doc = "classes of devices that it is measured on: jobs of their own for each"},
    {.name = "warmup", .type = Type::integer, .fallback = "20", .identity = true, .low = 0, .high = 1000000, .kinds = kBenchmark, .doc = "steps at the start of a round that are not measured"},
    {.name = "steps", .type = Type::integer, .fallback = "100", .identity = true, .low = 1, .high = 1000000, .kinds = kBenchmark, .doc = "measured steps of a round"},
    {.name = "repeat", .type = Type::integer, .fallback = "5", .identity = true, .low = 1, .high = 1000, .kinds = kBenchmark, .doc = "rounds, each with fresh weights; the median is over the steps of all"},
    {.name = "baseline", .type = Type::words, .words = "finetune|adapter|separate", .kinds = kBenchmark, .doc = "what times are set in relation to: `finetune`, `adapter` (of the same configuration at depth 0), of parallel `separate` (a pass for each task at depth 0). It is measured too where it is no subject"},
    {.name = "members_init", .type = Type::word, .fallback = "\"random\"", .identity = true, .words = "random|trained", .kinds = kBenchmark, .doc = "weights of adapters and members: drawn, or of each task the best adapter of `from`"},
};

constexpr Key kDrop[] = {
    {.name = "standard", .type = Type::boolean, .fallback = "false", .identity = true, .doc = "adapters in all layers; the same as specialised 0"},
    {.name = "specialized", .type = Type::integers, .identity = true, .low = 0, .high = 1000, .doc = "one job per n: the lowest n layers never have adapters"},
    {.name = "robust", .identity = true, .doc = "`lo..hi` or `[lo, hi]`: n is drawn from the range for every optimizer step; one job. `true`: 0 to the model's last layer, as the paper"},
};

constexpr Key kStop[] = {
    {.name = "method", .type = Type::word, .required = true, .words = "asha|hyperband|halving|median|percentile|threshold|patience|pbt", .doc = "how settings are judged: see Early stopping"},
    {.name = "eta", .type = Type::integer, .fallback = "4", .low = 2, .high = 1000, .doc = "asha, hyperband, halving: one of eta goes on at each rung"},
    {.name = "min", .type = Type::integer, .fallback = "1", .low = 1, .high = kHuge, .doc = "asha, hyperband, halving: first rung, in epochs; rungs are min·eta^k below train.epochs. Others: the first epoch that is judged; pbt: absent, the interval"},
    {.name = "max", .type = Type::integer, .low = 1, .high = kHuge, .doc = "train.epochs, which it has to equal; with unit: step the last rung, in steps"},
    {.name = "per", .type = Type::words, .words = "task|drop|set|seed", .doc = "columns whose jobs are compared among themselves; absent: [task, drop, set], and a setting is judged by its mean over seeds"},
    {.name = "unit", .type = Type::word, .fallback = "\"epoch\"", .words = "epoch|step", .doc = "of rungs, `min`, `max` and `every`. `step`: optimizer steps; jobs are then measured at the rungs, too"},
    {.name = "ties", .type = Type::word, .fallback = "\"continue\"", .words = "continue|first", .doc = "asha that stops, hyperband. `continue`: a value as good as the last kept one goes on; `first`: the earlier arrivals"},
    {.name = "variant", .type = Type::word, .fallback = "\"stop\"", .words = "stop|promote", .doc = "asha. `stop`: what is behind at a rung stops; `promote`: all pause there, and the best go on when there are enough to compare with"},
    {.name = "bootstrap", .type = Type::integer, .fallback = "0", .low = 0, .high = 100000, .doc = "asha that stops, hyperband: entries a rung must have before it stops anything; until then verdicts wait and settings run on"},
    {.name = "brackets", .type = Type::integer, .fallback = "1", .low = 1, .high = 100, .doc = "asha, halving: how many; bracket i starts at rung i. hyperband: as many as there are rungs"},
    {.name = "rungs", .type = Type::integer, .fallback = "0", .low = 0, .high = 100, .doc = "asha, hyperband, halving: so many rungs, counted down from train.epochs (epochs / eta^k, rounded down), instead of up from min"},
    {.name = "rounding", .type = Type::word, .fallback = "\"down\"", .words = "down|up", .doc = "halving: of the number of settings that go on, n / eta"},
    {.name = "every", .type = Type::integer, .fallback = "1", .low = 1, .high = kHuge, .doc = "median, percentile, threshold, patience: epochs between judgements"},
    {.name = "startup", .type = Type::integer, .fallback = "3", .low = 1, .high = 100000, .doc = "median, percentile: settings to compare with that have to be there"},
    {.name = "among", .type = Type::word, .fallback = "\"completed\"", .words = "completed|all", .doc = "median, percentile: compare with settings at full budget, or with all that came as far"},
    {.name = "window", .type = Type::integer, .fallback = "0", .low = 0, .high = 100000, .doc = "median: epochs of the others' running averages; 0: from the first"},
    {.name = "percentile", .type = Type::number, .low = 0, .high = 100, .open = true, .doc = "percentile: share of the best values at an epoch that go on, in percent"},
    {.name = "lower", .type = Type::number, .doc = "threshold: a value below it stops"},
    {.name = "upper", .type = Type::number, .doc = "threshold: a value above it stops"},
    {.name = "patience", .type = Type::integer, .low = 1, .high = 100000, .doc = "patience: epochs without a better value that stop a setting"},
    {.name = "min_delta", .type = Type::number, .fallback = "0.0", .low = 0, .high = kHuge, .doc = "patience: by how much a value has to be better"},
    {.name = "interval", .type = Type::integer, .fallback = "1", .low = 1, .high = kHuge, .doc = "pbt: epochs between two comparisons of a member with its population"},
    {.name = "quantile", .type = Type::number, .fallback = "0.25", .low = 0.01, .high = 0.5, .doc = "pbt: share of the members that are behind and clone, and of those that are best and are cloned"},
    {.name = "resample", .type = Type::number, .fallback = "0.25", .low = 0, .high = 1, .doc = "pbt: chance that a clone's parameter is drawn anew; else it is next to its donor's"},
    {.name = "factors", .fallback = "[1.2, 0.8]", .doc = "pbt: list of numbers above 0; a clone's parameter is one of them times its donor's"},
    {.name = "seed", .type = Type::integer, .fallback = "0", .low = 0, .high = 4294967295.0, .doc = "pbt: of what it draws"},
};

constexpr Key kNeeds[] = {
    {.name = "from", .required = true, .identity = true, .doc = "adapter stages, `sweep:NAME/STAGE` of other sweeps, `{TASK: folder}` of existing adapters; one or a list of these"},
    {.name = "where", .identity = true, .doc = "{COLUMN: condition}: only these adapters compete"},
    {.name = "best", .type = Type::integer, .fallback = "1", .identity = true, .low = 1, .high = 1, .one_value = true, .doc = "the best setting is the member"},
    {.name = "per", .type = Type::words, .fallback = "[\"task\"]", .identity = true, .words = "task|drop|seed", .doc = "with `drop` or `seed`, members have the fusion's own"},
    {.name = "over", .type = Type::word, .fallback = "\"seeds\"", .words = "seeds", .doc = "settings are compared over all their seeds"},
    {.name = "stat", .type = Type::word, .fallback = "\"mean\"", .identity = true, .words = "mean|median|min|max", .doc = "of the objective over the seeds: settings compete by it"},
    {.name = "seeds", .type = Type::word, .fallback = "\"match\"", .identity = true, .words = "match|best|all", .doc = "`match`: a fusion takes members of its own seed; `best`: of their best seed; `all`: one fusion for each seed of the members"},
    {.name = "stopped", .type = Type::boolean, .fallback = "false", .identity = true, .doc = "jobs that were stopped early compete too"},
    {.name = "on_missing", .type = Type::word, .fallback = "\"skip\"", .words = "skip|fail|wait", .doc = "when no setting Succeeded in every seed"},
};

constexpr Key kSubjects[] = {
    {.name = "finetune", .identity = true, .doc = "`{}`: the whole model"},
    {.name = "adapter", .type = Type::section, .identity = true, .doc = "one adapter; `{}`: the root's, in all layers"},
    {.name = "fusion", .type = Type::section, .identity = true, .doc = "AdapterFusion (dynamic) of the root's adapter"},
    {.name = "parallel", .type = Type::section, .identity = true, .doc = "several tasks' adapters on one input: the layers below them run once for all"},
};

constexpr Key kSubjectAdapter[] = {
    {.name = "config", .type = Type::words, .identity = true, .words = "seq_bn|double_seq_bn|par_bn", .doc = "one job each; absent: the root's adapter"},
    {.name = "depths", .fallback = "[0]", .identity = true, .doc = "drop depths, integers: no adapters in the lowest n layers; one job each. `all`: one job that measures 0..L-1, one after the other"},
};

constexpr Key kSubjectMembers[] = {
    {.name = "members", .type = Type::integers, .required = true, .identity = true, .low = 1, .high = 1000, .doc = "how many adapters; one job each"},
    {.name = "depths", .fallback = "[0]", .identity = true, .doc = "drop depths, integers: no adapters in the lowest n layers; one job each. `all`: one job that measures 0..L-1, one after the other"},
};

constexpr Key kShape[] = {
    {.name = "batch", .type = Type::integers, .fallback = "[32]", .identity = true, .low = 1, .high = 65536, .doc = "rows of a step"},
    {.name = "length", .type = Type::integers, .fallback = "[128]", .identity = true, .low = 1, .high = 65536, .doc = "tokens of every row; crossed with batch"},
};

constexpr Key kResources[] = {
    {.name = "ranks", .type = Type::integer, .fallback = "1", .low = 1, .high = 64, .doc = "processes that train a job together, each on a device of its own of one worker; its result is that of one process"},
};

constexpr Key kLimits[] = {
    {.name = "concurrency", .type = Type::integer, .fallback = "0", .low = 0, .high = kHuge, .doc = "jobs at once; 0: no limit"},
    {.name = "wall", .type = Type::duration, .doc = "the sweep is cancelled after it"},
    {.name = "job_wall", .type = Type::duration, .doc = "an attempt fails after it"},
    {.name = "failed", .type = Type::integer, .fallback = "0", .low = 0, .high = kHuge, .doc = "the sweep is cancelled when more jobs failed; 0: never"},
};

constexpr Key kRetry[] = {
    {.name = "max", .type = Type::integer, .fallback = "3", .low = 0, .high = 1000, .doc = "retries after the first attempt"},
    {.name = "not_on", .type = Type::words, .fallback = "[\"config\",\"diverged\"]", .words = "config|data|model|oom|diverged|disk|crash|internal", .doc = "error classes that are final at once"},
};

constexpr Key kCheckpoint[] = {
    {.name = "every", .type = Type::word, .fallback = "\"epoch\"", .words = "epoch", .doc = "when a resumable checkpoint is written"},
    {.name = "keep", .type = Type::section, .doc = "how many of a job stay"},
};

constexpr Key kKeep[] = {
    {.name = "best", .type = Type::integer, .fallback = "1", .identity = true, .low = 1, .high = 20, .doc = "so many of the best epochs of a job that trains: the best becomes the final checkpoint, the others stand beside it. In the identity only where it is more than 1"},
    {.name = "latest", .type = Type::integer, .fallback = "1", .low = 1, .high = 20, .doc = "so many of the newest resumable checkpoints; the one before them stays too. A job resumes from the newest, from the next where that one turns out to be damaged, and so on"},
};

constexpr Key kNotify[] = {
    {.name = "on", .type = Type::words, .fallback = "[\"done\",\"failed\"]", .words = "done|failed|cancelled|job_failed", .doc = "`done`: every job ended as it should; `failed`: the sweep ended and some did not; `cancelled`: by a person or a limit; `job_failed`: the first job failed for good"},
    {.name = "webhook", .type = Type::text, .required = true, .doc = "`https://…`, or `${env:NAME}`: the coordinator's environment has it"},
    {.name = "secret", .type = Type::text, .doc = "`${env:NAME}`: the key that messages are signed with"},
};

constexpr Key kCache[] = {
    {.name = "use", .type = Type::boolean, .fallback = "true", .doc = "`false`: every job is trained"},
    {.name = "ttl", .type = Type::duration, .doc = "older results are made again, but for pinned ones (`fathom pin`); absent: of any age"},
};
// clang-format on

struct Row {
  SectionInfo info;
  std::span<const Key> keys;
};

// In the order of Section.
const std::array<Row, kSectionCount> kSections = {{
    {{"", "root"}, kRoot},
    {{"model", "root"}, kModel},
    {{"objective", "root"}, kObjective},
    {{"tasks.NAME", "task"}, kTask},
    {{"tasks.NAME.data", "task"}, kData},
    {{"adapter", "root, stage"}, kAdapterKeys},
    {{"train", "root, task, stage"}, kTrain},
    {{"parameters.NAME", "root, stage"}, kParameter},
    {{"search", "root, stage"}, kSearch},
    {{"stages.NAME", "root"}, kStage},
    {{"stages.NAME.drop", "stage"}, kDrop},
    {{"stages.NAME.stop", "stage"}, kStop},
    {{"stages.NAME.needs", "stage"}, kNeeds},
    {{"stages.NAME.subjects", "stage"}, kSubjects},
    {{"stages.NAME.subjects.adapter", "stage"}, kSubjectAdapter},
    {{"stages.NAME.subjects.fusion", "stage"}, kSubjectMembers},
    {{"stages.NAME.subjects.parallel", "stage"}, kSubjectMembers},
    {{"stages.NAME.shape", "stage"}, kShape},
    {{"resources", "root"}, kResources},
    {{"limits", "root"}, kLimits},
    {{"retry", "root"}, kRetry},
    {{"checkpoint", "root"}, kCheckpoint},
    {{"checkpoint.keep", "checkpoint"}, kKeep},
    {{"notify", "root"}, kNotify},
    {{"cache", "root"}, kCache},
}};

}  // namespace

std::span<const Key> keys_of(Section section) { return kSections.at(static_cast<std::size_t>(section)).keys; }

SectionInfo info_of(Section section) { return kSections.at(static_cast<std::size_t>(section)).info; }

const Key* find_key(Section section, std::string_view name) {
  if (name.empty()) return nullptr;
  for (const Key& key : keys_of(section)) {
    if (key.name[0] == name.front() && name == key.name) return &key;  // a dozen sections are asked for each file
  }
  return nullptr;
}

}  // namespace fathom::sweeps
