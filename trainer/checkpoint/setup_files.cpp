// Whole setups on disk: adapter_setup.json and a folder for each part.
#include <algorithm>
#include <map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "common/files.hpp"
#include "trainer/adapters/prune.hpp"
#include "trainer/checkpoint/adapter_files.hpp"
#include "trainer/checkpoint/folder.hpp"

namespace fathom::trainer {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kSetupFile = "adapter_setup.json";
constexpr int kMaxDepth = 8;

// The class names of the library's composition blocks.
constexpr std::array<std::pair<SetupKind, const char*>, 6> kBlocks = {{{SetupKind::single, "single"},
                                                                       {SetupKind::stack, "Stack"},
                                                                       {SetupKind::fuse, "Fuse"},
                                                                       {SetupKind::average, "Average"},
                                                                       {SetupKind::parallel, "Parallel"},
                                                                       {SetupKind::batch_split, "BatchSplit"}}};

const char* block_name(SetupKind kind) {
  for (const auto& [known, name] : kBlocks) {
    if (known == kind) return name;
  }
  return "";
}

Result<json> tree(const Setup& setup) {
  if (setup.kind == SetupKind::none) {
    return Error{Errc::unsupported, "a setup with rows without adapter has no form that the adapters library knows"};
  }
  json node = {{"type", block_name(setup.kind)}, {"children", json::array()}};
  if (setup.kind == SetupKind::single) {
    node["children"].push_back(setup.adapter->name);
    return node;
  }
  for (const Setup& child : setup.children) {
    FATHOM_ASSIGN(json part, tree(child));
    node["children"].push_back(std::move(part));
  }
  if (setup.kind == SetupKind::batch_split) node["kwargs"] = {{"batch_sizes", setup.batch_sizes}};
  if (setup.kind == SetupKind::average) node["kwargs"] = {{"weights", setup.weights}};
  return node;
}

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

// Reads the parts that a tree names, each adapter once.
class SetupReader {
 public:
  SetupReader(fs::path folder, const ModelConfig& model) : folder_(std::move(folder)), model_(model) {}

  Result<Setup> read(const json& node, int depth = 0) {
    if (depth > kMaxDepth || !node.is_object() || !node.contains("children") || !node["children"].is_array()) {
      return wrong("a block without children, or blocks too deep");
    }
    const json type = node.value("type", json());
    const auto block = std::find_if(kBlocks.begin(), kBlocks.end(), [&](const auto& b) { return type == b.second; });
    if (block == kBlocks.end()) return wrong("unknown block " + type.dump());
    if (block->first == SetupKind::single) return single(node["children"]);
    Setup setup;
    setup.kind = block->first;
    for (const json& child : node["children"]) {
      FATHOM_ASSIGN(Setup part, read(child, depth + 1));
      setup.children.push_back(std::move(part));
    }
    FATHOM_TRY(arguments(node.value("kwargs", json::object()), setup));
    return setup;
  }

 private:
  Error wrong(const std::string& what) const {
    return Error{Errc::corrupt, (folder_ / kSetupFile).string() + ": " + what};
  }

  Result<Setup> single(const json& children) {
    if (children.size() != 1 || !children[0].is_string()) return wrong("a single names one adapter");
    const auto name = children[0].get<std::string>();
    FATHOM_TRY(check_adapter_name(name));
    auto& adapter = adapters_[name];
    if (!adapter) {
      FATHOM_ASSIGN(Adapter loaded, load_adapter(folder_ / name, model_));
      if (loaded.name != name) return wrong("folder \"" + name + "\" holds adapter \"" + loaded.name + "\"");
      adapter = std::make_shared<Adapter>(std::move(loaded));
    }
    return Setup::single(adapter);
  }

  Status arguments(const json& kwargs, Setup& setup) {
    if (!kwargs.is_object()) return wrong("kwargs is no object");
    if (setup.kind == SetupKind::batch_split) {
      for (const json& size : kwargs.value("batch_sizes", json::array())) {
        if (!size.is_number_integer()) return wrong("batch_sizes are numbers of rows");
        setup.batch_sizes.push_back(size.get<std::int64_t>());
      }
    }
    if (setup.kind == SetupKind::average) {
      for (const json& weight : kwargs.value("weights", json::array())) {
        if (!weight.is_number()) return wrong("weights are numbers");
        setup.weights.push_back(weight.get<double>());
      }
      if (setup.weights.empty())
        setup.weights.assign(setup.children.size(), 1.0 / static_cast<double>(setup.children.size()));
    }
    return setup.kind == SetupKind::fuse ? find_fusion(kwargs, setup) : success();
  }

  // The name of a fusion is not stored unless custom: it is the children joined by commas, else the only fusion here.
  Status find_fusion(const json& kwargs, Setup& setup) {
    std::vector<std::string> names;
    for (const Setup& child : setup.children) {
      for (const auto& adapter : child.adapters()) names.push_back(adapter->name);
    }
    std::string name = kwargs.value("name", json()).is_string() ? kwargs["name"].get<std::string>()
                                                                : fmt::format("{}", fmt::join(names, ","));
    if (!fs::exists(folder_ / name / "adapter_fusion_config.json")) {
      std::vector<std::string> found;
      for (const auto& entry : fs::directory_iterator(folder_)) {
        if (fs::exists(entry.path() / "adapter_fusion_config.json")) found.push_back(entry.path().filename().string());
      }
      if (found.size() != 1) return wrong("there is no folder of the fusion \"" + name + "\"");
      name = found.front();
    }
    FATHOM_ASSIGN(Fusion fusion, load_fusion(folder_ / name, model_));
    setup.fusion = std::make_shared<Fusion>(std::move(fusion));
    return success();
  }

  fs::path folder_;
  const ModelConfig& model_;
  std::map<std::string, std::shared_ptr<const Adapter>> adapters_;
};

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
  FATHOM_ASSIGN(json node, tree(setup));
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
  FATHOM_ASSIGN(saved.setup, SetupReader(folder, model).read(file.value("adapter_setup", json())));
  FATHOM_ASSIGN(saved.heads, read_heads(folder, file.value("head_setup", json()), model));
  FATHOM_TRY(check_setup(saved.setup, model));
  return saved;
}

}  // namespace fathom::trainer
