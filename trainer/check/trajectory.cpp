// Training runs against the reference: learning rate, loss and gradient norm of every step, the first gradients, the
// regulariser, every weight and the outputs at the end.
#include <algorithm>
#include <cmath>
#include <utility>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/tensor.h>
#include <fmt/format.h>

#include "data/dataset.hpp"
#include "trainer/check/compare.hpp"
#include "trainer/check/fields.hpp"
#include "trainer/check/formula.hpp"
#include "trainer/check/parts.hpp"
#include "trainer/check/runs.hpp"
#include "trainer/checkpoint/folder.hpp"
#include "trainer/checkpoint/safetensors.hpp"
#include "trainer/engine/training.hpp"

namespace fathom::trainer::check {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr double kRateTolerance = 1e-12;  // of doubles that both sides compute alike
constexpr double kMaxSteps = 1e9;
constexpr double kOutputTolerance = 2e-5;
// Of the regulariser's value, which runs from 1e-11 to 10.
constexpr double kPenaltyShare = 1e-4;
constexpr double kPenaltyFloor = 1e-9;
constexpr std::int64_t kDigestEntries = 8;  // after the norm and the sum

enum class Regulariser { none, before, lagged };

struct Options {
  TrainingOptions training;
  Regulariser regulariser = Regulariser::none;
  std::vector<std::int64_t> skip;  // n of each step; empty: 0
  bool regression = false;
};

Options read_options(const Fields& fields, std::uint64_t steps) {
  static const std::vector<std::string> kKnown = {"lr",          "weight_decay", "warmup",     "clip",
                                                  "set_to_none", "skip",         "fusion_reg", "regression"};
  for (const auto& [key, value] : fields.value().items()) {
    if (std::find(kKnown.begin(), kKnown.end(), key) == kKnown.end()) fields.fail("unknown option \"" + key + "\"");
  }
  Options options;
  auto& training = options.training;
  const double warmup = fields.number("warmup", 5);
  if (warmup < 0 || warmup > kMaxSteps) fields.fail("\"warmup\" must be a number of steps");
  training.schedule = {ScheduleKind::linear, fields.number("lr", 1e-3), static_cast<std::uint64_t>(warmup), steps};
  training.adamw.weight_decay = fields.number("weight_decay", 0.01);
  training.clip = fields.number("clip", 1.0);
  training.zero_gradients = !fields.flag("set_to_none", true);
  training.dropout = false;
  options.skip = fields.counts("skip");
  options.regression = fields.flag("regression", false);
  if (fields.find("fusion_reg")) {
    const auto word = fields.text("fusion_reg");
    if (word != "before" && word != "lagged") fields.fail("\"fusion_reg\" must be before or lagged");
    options.regulariser = word == "before" ? Regulariser::before : Regulariser::lagged;
  }
  training.lagged_regularizer = options.regulariser == Regulariser::lagged;
  return options;
}

std::string only_name(const Fields& fields, const std::string& key) {
  const auto names = fields.texts(key);
  if (names.size() != 1) fields.fail("\"" + key + "\" must name exactly one");
  return names.front();
}

// One run: what it starts from and what the reference says about it.
class Run {
 public:
  Run(const fs::path& folder, const json& file, const std::shared_ptr<const BaseModel>& base)
      : folder_(folder),
        fields_(file, (folder / "trajectory.json").string()),
        rows_file_((folder.parent_path().parent_path() / "train.safetensors").string()),
        rows_(value_of(read_safetensors(rows_file_)).tensors) {
    options_ = read_options({fields_.at("options"), fields_.where() + ": options"}, fields_.list("order").size());
    const Fields tolerance(fields_.at("tolerance"), fields_.where() + ": tolerance");
    loss_tolerance_ = tolerance.number("loss");
    norm_tolerance_ = tolerance.number("grad_norm");
    final_tolerance_ = tolerance.number("final");
    if (tolerance.find("ignore_final")) ignored_ = tolerance.text("ignore_final");
    make_network(base);
    choose_trained();
  }

  Outcome compare() {
    compare_steps();
    compare_final();
    return comparison_.outcome();
  }

 private:
  void make_network(const std::shared_ptr<const BaseModel>& base) {
    const auto head = only_name(fields_, "heads");
    if (!fs::exists(folder_ / "init") && fs::exists(folder_ / "final_digest.safetensors")) {
      FormulaParts parts;
      parts.adapters = fields_.texts("adapters");
      parts.head = head;
      if (!fields_.texts("fusions").empty()) parts.fusion = only_name(fields_, "fusions");
      derive_forms(fields_.texts("trained"), parts);
      parts.outputs = options_.regression ? 1 : std::max<std::int64_t>(2, labels().max().item<std::int64_t>() + 1);
      network_ = formula_network(parts, base);
    } else {
      const Parts parts({folder_ / "init", folder_ / "init_head", folder_ / "init_fusion", false}, base->config);
      network_.base = base;
      network_.setup = parts.setup(fields_.at("setup"));
      network_.head = parts.head(head);
      network_.fusion = fusion_of(network_.setup);
    }
    // A run without regulariser moves W_v by the task alone.
    if (options_.regulariser == Regulariser::none) network_.fusion = nullptr;
  }

  static std::shared_ptr<const Fusion> fusion_of(const Setup& setup) {
    if (setup.fusion) return setup.fusion;
    for (const Setup& child : setup.children) {
      if (auto fusion = fusion_of(child)) return fusion;
    }
    return nullptr;
  }

  // In the library's order, less what the reference kept frozen.
  void choose_trained() {
    const auto& config = network_.base->config;
    Parameters all;
    const auto append = [&](const Parameters& more) { all.insert(all.end(), more.begin(), more.end()); };
    for (const auto& adapter : network_.setup.adapters()) append(adapter->parameters(config));
    if (const auto fusion = fusion_of(network_.setup)) append(fusion->parameters(config));
    append(network_.head->parameters());
    const auto trained = fields_.texts("trained");
    const auto decayed = fields_.find("decayed") ? fields_.texts("decayed") : trained;
    const auto among = [](const std::vector<std::string>& names, const std::string& name) {
      return std::find(names.begin(), names.end(), name) != names.end();
    };
    for (const auto& parameter : all) {
      parameter.value.requires_grad_(among(trained, parameter.name));
      if (!among(trained, parameter.name)) continue;
      network_.trained.push_back(parameter);
      comparison_.require(!fields_.find("decayed") || parameter.decay == among(decayed, parameter.name),
                          "weight decay acts on other tensors: " + parameter.name);
    }
    if (network_.trained.size() != trained.size())
      fields_.fail(fmt::format("{} tensors are trained, of which {} are among the run's parts", trained.size(),
                               network_.trained.size()));
  }

  [[nodiscard]] at::Tensor labels(const std::vector<std::int64_t>& rows = {}) const {
    const auto* name = options_.regression ? "targets" : "labels";
    const auto chosen = pick_rows(rows_, rows_file_, name, rows);
    if (chosen.dim() != 1 || chosen.scalar_type() != (options_.regression ? at::kFloat : at::kLong))
      throw CheckError(rows_file_ + ": \"" + name + "\" must be one value a row, int64 labels or float32 targets");
    return chosen;
  }

  [[nodiscard]] LabelledBatch batch(std::size_t step) const {
    const auto rows = fields_.to_counts(fields_.list("order")[step], "order");
    if (rows.empty()) fields_.fail("\"order\" has a step without rows");
    LabelledBatch batch;
    batch.input = pick_batch(rows_, rows_file_, network_.base->config, rows);
    batch.labels = labels(rows);
    const auto outputs = network_.head->config.num_labels;
    const bool known = options_.regression ? outputs == 1
                                           : batch.labels.min().item<std::int64_t>() >= 0 &&
                                                 batch.labels.max().item<std::int64_t>() < outputs;
    if (!known) throw CheckError(rows_file_ + ": labels do not fit the head's " + std::to_string(outputs) + " outputs");
    batch.rows = rows.size();
    return batch;
  }

  [[nodiscard]] std::vector<double> series(const std::string& key) const {
    auto values = fields_.numbers(key);
    if (values.size() != steps()) fields_.fail("\"" + key + "\" must have a value for each step of \"order\"");
    return values;
  }
  [[nodiscard]] std::size_t steps() const { return fields_.list("order").size(); }

  void compare_steps() {
    const auto rates = series("lr"), losses = series("loss"), norms = series("grad_norm");
    auto penalties = fields_.find("reg_loss") ? series("reg_loss") : std::vector<double>{};
    if (!options_.skip.empty() && options_.skip.size() != steps()) fields_.fail("\"skip\" must name n of each step");
    bool first = true;
    options_.training.on_gradients = [&] {
      if (std::exchange(first, false)) compare_gradients();
    };
    Training training(network_, options_.training);
    for (std::size_t step = 0; step < steps(); ++step) {
      const auto skip = options_.skip.empty() ? 0 : options_.skip[step];
      const auto report = training.step(step, {batch(step)}, static_cast<std::uint32_t>(skip));
      const auto at = [&](const char* what) { return fmt::format("{} of step {}", what, step); };
      comparison_.number(at("lr"), report.lr, rates[step], kRateTolerance);
      comparison_.number(at("loss"), report.loss, losses[step], loss_tolerance_);
      comparison_.number(at("grad_norm"), report.grad_norm, norms[step], norm_tolerance_);
      if (!penalties.empty()) compare_penalty(step, report.reg_loss, penalties);
    }
  }

  // Lagged, it is the value after the step, else the one that joins it.
  void compare_penalty(std::size_t step, const std::optional<double>& got, const std::vector<double>& expected) {
    const double tolerance = kPenaltyFloor + kPenaltyShare * std::abs(expected[step]);
    comparison_.number(fmt::format("reg_loss of step {}", step), got.value_or(0), expected[step], tolerance);
  }

  void compare_gradients() {
    const auto file = folder_ / "first_grads.safetensors";
    if (!fs::exists(file)) return;
    Expected expected(file);
    for (const auto& parameter : network_.trained) {
      const auto& gradient = parameter.value.grad();
      comparison_.require(gradient.defined() == expected.has(parameter.name),
                          "first gradients: " + parameter.name + (gradient.defined() ? " has one" : " has none"));
      if (!gradient.defined() || !expected.has(parameter.name)) continue;
      comparison_.tensor("first gradient of " + parameter.name, gradient, expected.take(parameter.name),
                         norm_tolerance_);
    }
    expected.finish(comparison_);
  }

  void compare_final() {
    const at::NoGradGuard no_grad;
    const auto whole = folder_ / "final.safetensors", digest = folder_ / "final_digest.safetensors";
    const bool digests = !fs::exists(whole) && fs::exists(digest);
    Expected expected(digests ? digest : whole);
    for (const auto& parameter : network_.trained) {
      const auto& theirs = expected.take(parameter.name);
      const bool ignored = !ignored_.empty() && parameter.name.ends_with(ignored_);
      if (!ignored) compare_tensor("final " + parameter.name, parameter.value, theirs, final_tolerance_, digests);
    }
    if (expected.has("eval_logits")) {
      const auto& theirs = expected.take("eval_logits");
      std::vector<std::int64_t> rows;
      const std::int64_t count = digests ? kDigestEntries : theirs.size(0);
      for (std::int64_t i = 0; i < count; ++i) rows.push_back(i);
      const Batch input = pick_batch(rows_, rows_file_, network_.base->config, rows);
      const auto hidden = forward(*network_.base, input, network_.setup).last_hidden_state;
      const auto logits = head_logits(*network_.head, *network_.base, hidden);
      compare_tensor("eval_logits", logits, theirs, std::max(kOutputTolerance, final_tolerance_), digests);
    }
    expected.finish(comparison_);
  }

  void compare_tensor(const std::string& at, const at::Tensor& got, const at::Tensor& theirs, double tolerance,
                      bool digests) {
    if (!digests) return comparison_.tensor(at, got, theirs, tolerance);
    const auto flat = got.detach().to(at::kDouble).contiguous().view(-1);
    const auto entries = std::min(kDigestEntries, flat.numel());
    comparison_.require(theirs.dim() == 1 && theirs.size(0) == entries + 2, at + ": its digest has another length");
    if (theirs.dim() != 1 || theirs.size(0) != entries + 2) return;
    // Errors of the entries are of either sign: those of the norm and the sum grow with the root of their number.
    const double wide = tolerance * std::sqrt(static_cast<double>(flat.numel()));
    comparison_.number(at + ", norm", flat.norm().item<double>(), theirs[0].item<double>(), wide);
    comparison_.number(at + ", sum", flat.sum().item<double>(), theirs[1].item<double>(), wide);
    comparison_.tensor(at, flat.narrow(0, 0, entries), theirs.narrow(0, 2, entries), tolerance);
  }

  const fs::path folder_;
  const Fields fields_;
  const std::string rows_file_;
  const NamedTensors rows_;  // input_ids attention_mask token_type_ids labels targets
  Options options_;
  double loss_tolerance_ = 0, norm_tolerance_ = 0, final_tolerance_ = 0;
  std::string ignored_;  // end of the names of tensors whose final values say nothing
  Network network_;
  Comparison comparison_;
};

}  // namespace

fs::path trajectory_folder(const Case& one, const fs::path& root) {
  const auto path = Fields(one.entry, one.where).text("path");
  for (const auto& below : {root, root / one.group}) {
    const auto folder = value_of(data::below_root(below, path));
    if (fs::exists(folder / "trajectory.json")) return folder;
  }
  throw CheckError(one.where + ": there is no " + path + "/trajectory.json");
}

Outcome run_trajectory(const fs::path& run, const std::shared_ptr<const BaseModel>& base) {
  const json file = value_of(read_json(run / "trajectory.json"));
  return Run(run, file, base).compare();
}

}  // namespace fathom::trainer::check
