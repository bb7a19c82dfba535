#include "trainer/check/parts.hpp"

#include <algorithm>

#include <ATen/ops/equal.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/index_select.h>
#include <fmt/format.h>

#include "common/part_names.hpp"
#include "trainer/check/compare.hpp"
#include "trainer/check/fields.hpp"
#include "trainer/checkpoint/adapter_files.hpp"
#include "trainer/checkpoint/safetensors.hpp"
#include "trainer/checkpoint/setup_tree.hpp"

namespace fathom::trainer::check {
namespace {

namespace fs = std::filesystem;

// `load(format)` from the preferred file; where the .bin is there too it must give the same parameters, bit for bit.
template <class Load, class ParametersOf>
auto load_both(const fs::path& folder, const Load& load, const ParametersOf& parameters_of) {
  auto part = value_of(load(WeightFormat::any));
  const auto bin = load(WeightFormat::bin);
  if (!bin) {
    if (bin.error().code != Errc::not_found) throw CheckError(bin.error().message);
    return part;
  }
  const Parameters ours = parameters_of(part), theirs = parameters_of(*bin);
  for (std::size_t i = 0; i < ours.size(); ++i) {
    if (i < theirs.size() && ours[i].value.equal(theirs[i].value)) continue;
    throw CheckError(folder.string() + ": the .bin and the .safetensors file differ in \"" + ours[i].name + "\"");
  }
  return part;
}

void check_name(const std::string& kind, const std::string& name) { value_of(check_part_name(kind, name)); }

// Ids that the tables do not have would be found by Torch, in words that name no file.
void check_ids(const at::Tensor& ids, std::int64_t limit, const std::string& what) {
  if (ids.numel() == 0) throw CheckError(what + " is empty");
  const std::int64_t low = ids.min().item<std::int64_t>(), high = ids.max().item<std::int64_t>();
  if (low < 0 || high >= limit)
    throw CheckError(fmt::format("{} holds {}, the model has 0 to {}", what, low < 0 ? low : high, limit - 1));
}

}  // namespace

std::shared_ptr<const Adapter> Parts::adapter(const std::string& name,
                                              const std::vector<std::int64_t>& leave_out) const {
  check_name("adapter", name);
  const fs::path folder = folders_.adapters / name;
  auto adapter = load_both(
      folder, [&](WeightFormat format) { return load_adapter(folder, model_, leave_out, "", format); },
      [&](const Adapter& part) { return part.parameters(model_); });
  if (adapter.name != name)
    throw CheckError(folder.string() + ": it holds adapter \"" + adapter.name + "\", not " + name);
  return std::make_shared<const Adapter>(std::move(adapter));
}

std::shared_ptr<const Head> Parts::head(const std::string& name) const {
  check_name("head", name);
  const fs::path folder = folders_.by_name ? folders_.heads / name : folders_.heads;
  auto head = load_both(
      folder, [&](WeightFormat format) { return load_head(folder, model_, "", format); },
      [](const Head& part) { return part.parameters(); });
  if (head.name != name) throw CheckError(folder.string() + ": it holds head \"" + head.name + "\", not " + name);
  return std::make_shared<const Head>(std::move(head));
}

std::shared_ptr<const Fusion> Parts::fusion(const std::string& name) const {
  check_name("fusion", name);
  std::string spelled = name;
  std::replace(spelled.begin(), spelled.end(), ',', '+');
  const fs::path folder = folders_.by_name ? folders_.fusions / spelled : folders_.fusions;
  auto fusion = load_both(
      folder, [&](WeightFormat format) { return load_fusion(folder, model_, format); },
      [&](const Fusion& part) { return part.parameters(model_); });
  if (fusion.name != name) throw CheckError(folder.string() + ": it holds fusion \"" + fusion.name + "\", not " + name);
  return std::make_shared<const Fusion>(std::move(fusion));
}

Setup Parts::setup(const nlohmann::json& node,
                   const std::map<std::string, std::vector<std::int64_t>>& leave_out) const {
  SetupParts parts;
  parts.adapter = [&](const std::string& name) -> Result<std::shared_ptr<const Adapter>> {
    const auto found = leave_out.find(name);
    return adapter(name, found == leave_out.end() ? std::vector<std::int64_t>{} : found->second);
  };
  parts.fusion = [&](const std::optional<std::string>& name,
                     const std::vector<std::string>& members) -> Result<std::shared_ptr<const Fusion>> {
    return fusion(name ? *name : fmt::format("{}", fmt::join(members, ",")));
  };
  Setup setup = value_of(read_setup_tree(node, parts));
  value_of(check_setup(setup, model_));
  return setup;
}

at::Tensor pick_rows(const NamedTensors& tensors, const std::string& file, const std::string& name,
                     const std::vector<std::int64_t>& rows) {
  const auto found = tensors.find(name);
  if (found == tensors.end()) throw CheckError(file + ": tensor \"" + name + "\" is missing");
  const at::Tensor& all = found->second;
  if (all.dim() < 1) throw CheckError(file + ": tensor \"" + name + "\" has no rows");
  if (rows.empty()) return all;
  const std::int64_t last = *std::max_element(rows.begin(), rows.end());
  if (last >= all.size(0))
    throw CheckError(fmt::format("{}: row {} is asked for, but \"{}\" has {} rows", file, last, name, all.size(0)));
  const at::Tensor index = at::from_blob(const_cast<std::int64_t*>(rows.data()),
                                         {static_cast<std::int64_t>(rows.size())}, at::TensorOptions(at::kLong));
  return at::index_select(all, 0, index);
}

Batch pick_batch(const NamedTensors& tensors, const std::string& file, const ModelConfig& model,
                 const std::vector<std::int64_t>& rows) {
  Batch batch;
  batch.input_ids = pick_rows(tensors, file, "input_ids", rows);
  batch.attention_mask = pick_rows(tensors, file, "attention_mask", rows);
  if (tensors.contains("token_type_ids")) batch.token_type_ids = pick_rows(tensors, file, "token_type_ids", rows);
  for (const at::Tensor& tensor : {batch.input_ids, batch.attention_mask, batch.token_type_ids}) {
    if (!tensor.defined()) continue;
    if (tensor.dim() != 2 || tensor.sizes() != batch.input_ids.sizes() || tensor.scalar_type() != at::kLong)
      throw CheckError(file +
                       ": input_ids, attention_mask and token_type_ids must be int64 of one shape [rows, tokens]");
  }
  check_ids(batch.input_ids, model.vocabulary, file + ": input_ids");
  check_ids(batch.attention_mask, 2, file + ": attention_mask");
  if (batch.token_type_ids.defined() && model.token_types > 0)
    check_ids(batch.token_type_ids, model.token_types, file + ": token_type_ids");
  return batch;
}

Batch read_batch(const fs::path& file, const ModelConfig& model, const std::vector<std::int64_t>& rows) {
  return pick_batch(value_of(read_safetensors(file)).tensors, file.string(), model, rows);
}

}  // namespace fathom::trainer::check
