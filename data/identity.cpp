#include "data/identity.hpp"

#include <algorithm>
#include <system_error>
#include <vector>

#include <nlohmann/json.hpp>

#include "common/sha256.hpp"
#include "data/dataset.hpp"

namespace fathom::data {

namespace fs = std::filesystem;
using nlohmann::json;

Result<std::string> HashCache::file(const fs::path& path) {
  std::error_code error;
  Entry now;
  now.size = fs::file_size(path, error);
  if (error) return Error{Errc::not_found, path.string() + ": " + error.message()};
  now.mtime = fs::last_write_time(path, error).time_since_epoch().count();
  if (error) return Error{Errc::not_found, path.string() + ": " + error.message()};
  {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(path.string());
    if (found != entries_.end() && found->second.size == now.size && found->second.mtime == now.mtime) {
      return found->second.sha256;
    }
  }
  FATHOM_ASSIGN(now.sha256, sha256_file(path.string()));
  const std::lock_guard lock(mutex_);
  entries_[path.string()] = now;
  return now.sha256;
}

namespace {

std::vector<fs::path> shards_in(const fs::path& folder, std::string_view start, std::string_view end) {
  std::vector<fs::path> shards;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(start) && name.ends_with(end)) shards.push_back(entry.path());
  }
  std::sort(shards.begin(), shards.end());
  return shards;
}

}  // namespace

Result<std::string> model_sha256(HashCache& cache, const fs::path& folder) {
  // In the order in which a reader looks for them.
  for (const auto& [start, end] : {std::pair("model", ".safetensors"), std::pair("pytorch_model", ".bin")}) {
    std::error_code ignored;
    const fs::path whole = folder / (std::string(start) + end);
    if (fs::is_regular_file(whole, ignored)) return cache.file(whole);
    Sha256 all;
    const std::vector<fs::path> shards = shards_in(folder, std::string(start) + "-", end);
    for (const fs::path& shard : shards) {
      FATHOM_ASSIGN(const std::string one, cache.file(shard));
      all.update(one + "\n");
    }
    if (!shards.empty()) return all.hex();
  }
  return Error{Errc::not_found, "no model weights in " + folder.string() +
                                    ": expected model.safetensors or "
                                    "pytorch_model.bin, or shards of one (model-*.safetensors, pytorch_model-*.bin)"};
}

Result<std::string> data_sha256(HashCache& cache, const fs::path& root, const json& task) {
  Sha256 all;
  for (const char* role : {"train", "eval"}) {
    const auto found = task.find(role);
    if (found == task.end() || !found->is_string()) continue;
    FATHOM_ASSIGN(const fs::path path, below_root(root, found->get<std::string>()));
    FATHOM_ASSIGN(const std::string one, cache.file(path));
    all.update(std::string(role) + " " + one + "\n");
    std::error_code ignored;
    const fs::path labels = path.parent_path() / "labels.json";
    if (std::string_view(role) != "train" || !fs::is_regular_file(labels, ignored)) continue;
    FATHOM_ASSIGN(const std::string names, cache.file(labels));
    all.update("labels " + names + "\n");
  }
  for (const MoreEval& more : more_evals(root, task)) {
    FATHOM_ASSIGN(const std::string one, cache.file(root / more.path));
    all.update(more.split + " " + one + "\n");
  }
  return all.hex();
}

Result<std::string> adapter_sha256(HashCache& cache, const fs::path& folder) {
  std::error_code ignored;
  if (!fs::is_regular_file(folder / "adapter_config.json", ignored))
    return Error{Errc::not_found, folder.string() +
                                      ": adapter_config.json is not there; expected a folder of the "
                                      "adapters library"};
  Sha256 all;
  for (const char* name : {"adapter_config.json", "adapter.safetensors", "pytorch_adapter.bin", "head_config.json",
                           "model_head.safetensors", "pytorch_model_head.bin"}) {
    if (!fs::is_regular_file(folder / name, ignored)) continue;
    FATHOM_ASSIGN(const std::string one, cache.file(folder / name));
    all.update(std::string(name) + " " + one + "\n");
  }
  return all.hex();
}

}  // namespace fathom::data
