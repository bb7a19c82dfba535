// Forward passes in eval mode against the outputs of the reference.
#include <ATen/ops/mul.h>
#include <ATen/ops/narrow.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include "data/dataset.hpp"
#include "trainer/check/compare.hpp"
#include "trainer/check/fields.hpp"
#include "trainer/check/parts.hpp"
#include "trainer/check/runs.hpp"

namespace fathom::trainer::check {
namespace {

namespace fs = std::filesystem;

// The bound that the reference data use for one forward pass: float32 against float32 of another summation order.
constexpr double kForwardTolerance = 2e-5;

// The manifest repeats names and shapes: a file that was exchanged shows here.
void check_outputs(const Fields& fields, const Expected& expected) {
  const auto* outputs = fields.find("outputs");
  if (!outputs) return;
  for (const auto& [key, shape] : Fields(*outputs, fields.where() + ": outputs").value().items()) {
    const auto found = expected.tensors().find(key);
    if (found == expected.tensors().end()) fields.fail("outputs names \"" + key + "\", the expected file lacks it");
    if (found->second.sizes() != at::IntArrayRef(fields.to_counts(shape, key)))
      fields.fail("outputs and the expected file differ in the shape of \"" + key + "\"");
  }
}

// Every head gets its own rows: its block of a parallel, its share of a batch split, else the whole batch.
void compare_heads(const std::vector<std::string>& names, const Setup& setup, const Parts& parts, const BaseModel& base,
                   const at::Tensor& hidden, double tolerance, Expected& expected, Comparison& comparison) {
  const bool split = names.size() > 1 && names.size() == setup.children.size();
  std::int64_t row = 0;
  for (std::size_t i = 0; i < names.size(); ++i) {
    std::int64_t rows = hidden.size(0);
    if (split && setup.kind == SetupKind::parallel) rows /= static_cast<std::int64_t>(names.size());
    if (split && setup.kind == SetupKind::batch_split) rows = setup.batch_sizes[i];
    const at::Tensor part = at::narrow(hidden, 0, row, rows);
    expected.compare(comparison, "logits." + names[i], head_logits(*parts.head(names[i]), base, part), tolerance);
    if (split && rows < hidden.size(0)) row += rows;
  }
}

std::map<std::string, std::vector<std::int64_t>> leave_outs(const Fields& fields) {
  std::map<std::string, std::vector<std::int64_t>> out;
  if (const auto* given = fields.find("load_leave_out")) {
    for (const auto& [name, layers] : Fields(*given, fields.where() + ": load_leave_out").value().items())
      out[name] = fields.to_counts(layers, name);
  }
  return out;
}

void compare_pooler(const BaseModel& base, const at::Tensor& hidden, double tolerance, Expected& expected,
                    Comparison& comparison) {
  if (!expected.has("pooler_output")) return;
  if (!base.pooler) throw CheckError("pooler_output is expected, but the base model has no pooler");
  expected.compare(comparison, "pooler_output", pooled_output(base, hidden), tolerance);
}

}  // namespace

Outcome run_forward(const Case& one, const fs::path& root, const BaseModel& base) {
  const c10::NoGradGuard no_grad;
  const Fields fields(one.entry, one.where);
  const fs::path group = root / one.group;
  const double tolerance = fields.number("tolerance");
  Expected expected(value_of(data::below_root(root, fields.text("expected"))));
  check_outputs(fields, expected);
  const Parts parts({group / "adapters", group / "heads", group / "fusions"}, base.config);
  const auto* node = fields.find("setup");
  const Setup setup = parts.setup(node ? *node : nlohmann::json(), leave_outs(fields));
  ForwardOptions options;
  options.skip_layers = fields.counts("skip_layers");
  options.fusion_attention = options.hidden_states = true;
  const Batch batch = read_batch(group / "inputs.safetensors", base.config);
  const ForwardResult result = forward(base, batch, setup, options);

  Comparison comparison;
  const at::Tensor& hidden = result.last_hidden_state;
  expected.compare(comparison, "last_hidden_state", hidden, tolerance);
  for (std::size_t i = 0; i < result.hidden_states.size(); ++i)
    expected.compare(comparison, fmt::format("hidden_states.{}", i), result.hidden_states[i], tolerance);
  for (const FusionAttention& a : result.fusion_attention)
    expected.compare(comparison, fmt::format("fusion_attn.{}.{}", a.layer, site_name(a.site)), a.weights, tolerance);
  compare_pooler(base, hidden, tolerance, expected, comparison);
  compare_heads(fields.find("heads") ? fields.texts("heads") : std::vector<std::string>{}, setup, parts, base, hidden,
                tolerance, expected, comparison);
  expected.finish(comparison);
  return comparison.outcome();
}

Outcome run_base(const Case& one, const fs::path& root, const BaseModel& base) {
  const c10::NoGradGuard no_grad;
  const fs::path group = root / one.group;
  Expected expected(group / "base_expected.safetensors");
  const Batch batch = read_batch(group / "train.safetensors", base.config);
  const at::Tensor hidden = forward(base, batch, Setup::none()).last_hidden_state;
  Comparison comparison;
  if (expected.has("last_hidden_state")) {
    const at::Tensor mask = batch.attention_mask.unsqueeze(-1);
    const at::Tensor& theirs = expected.take("last_hidden_state");
    comparison.require(theirs.sizes() == hidden.sizes(), "last_hidden_state has another shape");
    if (theirs.sizes() == hidden.sizes())
      comparison.tensor("last_hidden_state", at::mul(hidden, mask), at::mul(theirs, mask), kForwardTolerance);
  }
  compare_pooler(base, hidden, kForwardTolerance, expected, comparison);
  expected.finish(comparison);
  return comparison.outcome();
}

}  // namespace fathom::trainer::check
