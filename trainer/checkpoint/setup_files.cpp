// Whole setups on disk: adapter_setup.json and a folder for each part.
#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "common/files.hpp"
#include "trainer/adapters/prune.hpp"
#include "trainer/checkpoint/adapter_files.hpp"
#include "trainer/checkpoint/folder.hpp"
#include "trainer/checkpoint/setup_tree.hpp"

namespace fathom::trainer {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kSetupFile = "adapter_setup.json";

Status save_fusions(const fs::path& folder, const Setup& setup, const ModelConfig& model) {
  if (setup.fusion) FATHOM_TRY(save_fusion(folder / setup.fusion->name, *setup.fusion, model));
  for (const Setup& child : setup.children) FATHOM_TRY(save_fusions(folder, child, model));
  return success();
}

bool pruned(const Setup& setup) {
  if (setup.kind != SetupKind::fuse) return false;
  const bool plain = std::all_of(setup.children.begin(), setup.children.end(),
                                 [](const Setup& child) { return child.kind == SetupKind::single; });
  if (!plain) return false;
  const Adapter& last = *setup.children.back().adapter;
  return std::any_of(setup.children.begin(), setup.children.end(),
                     [&](const Setup& child) { return child.adapter->config.leave_out != last.config.leave_out; });
}

json head_setup(const std::vector<std::shared_ptr<const Head>>& heads) {
  if (heads.empty()) return nullptr;
  if (heads.size() == 1) return heads.front()->name;
  json names = json::array();
  for (const auto& head : heads) names.push_back(head->name);
  return names;
}

// The parts beside adapter_setup.json, in folders of their names.
SetupParts parts_of(const fs::path& folder, const ModelConfig& model) {
  SetupParts parts;
  parts.adapter = [&folder, &model](const std::string& name) -> Result<std::shared_ptr<const Adapter>> {
    FATHOM_ASSIGN(Adapter loaded, load_adapter(folder / name, model));
    if (loaded.name != name)
      return Error{Errc::corrupt, "folder \"" + name + "\" holds adapter \"" + loaded.name + "\""};
    return std::make_shared<const Adapter>(std::move(loaded));
  };
  // The name of a fusion is not stored unless custom: it is the children joined by commas, else the only fusion here.
  parts.fusion = [&folder, &model](const std::optional<std::string>& given,
                                   const std::vector<std::string>& members) -> Result<std::shared_ptr<const Fusion>> {
    std::string name = given ? *given : fmt::format("{}", fmt::join(members, ","));
    if (!fs::exists(folder / name / "adapter_fusion_config.json")) {
      std::vector<std::string> found;
      for (const auto& entry : fs::directory_iterator(folder)) {
        if (fs::exists(entry.path() / "adapter_fusion_config.json")) found.push_back(entry.path().filename().string());
      }
      if (found.size() != 1) return Error{Errc::corrupt, "there is no folder of the fusion \"" + name + "\""};
      name = found.front();
    }
    FATHOM_ASSIGN(Fusion fusion, load_fusion(folder / name, model));
    return std::make_shared<const Fusion>(std::move(fusion));
  };
  return parts;
}

Result<std::vector<std::shared_ptr<const Head>>> read_heads(const fs::path& folder, const json& names,
                                                            const ModelConfig& model) {
  std::vector<std::shared_ptr<const Head>> heads;
  const json list = names.is_string() ? json::array({names}) : names.is_array() ? names : json::array();
  for (const json& name : list) {
    if (!name.is_string() || name.get<std::string>().find('/') != std::string::npos) {
      return Error{Errc::corrupt, (folder / kSetupFile).string() + ": head_setup names no heads"};
    }
    FATHOM_ASSIGN(Head head, load_head(folder / name.get<std::string>(), model));
    heads.push_back(std::make_shared<Head>(std::move(head)));
  }
  return heads;
}

}  // namespace

Status save_setup(const fs::path& folder, const SavedSetup& saved, const ModelConfig& model) {
  Setup setup = saved.setup;
  if (pruned(setup)) {
    FATHOM_ASSIGN(ExportedFusion exported, exportable_fusion(setup));
    setup = std::move(exported.setup);
  }
  FATHOM_ASSIGN(json node, setup_tree(setup));
  FATHOM_TRY(make_folders(folder.string()));
  for (const auto& adapter : setup.adapters()) FATHOM_TRY(save_adapter(folder / adapter->name, *adapter, model));
  FATHOM_TRY(save_fusions(folder, setup, model));
  for (const auto& head : saved.heads) FATHOM_TRY(save_head(folder / head->name, *head, model));
  return write_json(
      folder / kSetupFile,
      {{"adapter_setup", std::move(node)}, {"head_setup", head_setup(saved.heads)}, {"version", kAdaptersVersion}});
}

Result<SavedSetup> load_setup(const fs::path& folder, const ModelConfig& model) {
  FATHOM_ASSIGN(const json file, read_json(folder / kSetupFile));
  SavedSetup saved;
  const json node = file.value("adapter_setup", json());
  const auto setup = node.is_null() ? Result<Setup>(Error{Errc::corrupt, "it has no adapter_setup"})
                                    : read_setup_tree(node, parts_of(folder, model));
  // Errors of a part's own files name those.
  if (!setup) return Error{setup.error().code, (folder / kSetupFile).string() + ": " + setup.error().message};
  saved.setup = *setup;
  FATHOM_ASSIGN(saved.heads, read_heads(folder, file.value("head_setup", json()), model));
  FATHOM_TRY(check_setup(saved.setup, model));
  return saved;
}

}  // namespace fathom::trainer
