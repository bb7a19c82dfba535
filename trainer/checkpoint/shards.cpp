#include "trainer/checkpoint/shards.hpp"

#include <map>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "common/files.hpp"
#include "trainer/checkpoint/json_text.hpp"
#include "trainer/checkpoint/safetensors.hpp"
#include "trainer/checkpoint/torch_file.hpp"

namespace fathom::trainer {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::uint64_t kMaxIndex = 64u << 20;
constexpr std::size_t kMaxShards = 1024;

Error wrong(const fs::path& index, const std::string& what) {
  return Error{Errc::corrupt, index.string() + ": " + what};
}

Result<json> parse_index(const fs::path& index) {
  FATHOM_ASSIGN(const std::string text, read_file(index.string(), kMaxIndex));
  FATHOM_ASSIGN(const json file, parse_json_object(text, index.string()));
  if (!file.contains("weight_map") || !file["weight_map"].is_object()) {
    return wrong(index, "it is no index of weights: a JSON object with a \"weight_map\" is needed");
  }
  return file["weight_map"];
}

// "model-00001-of-00002.safetensors" for model.safetensors.index.json; nothing with a path in it.
bool is_shard(const std::string& name, const fs::path& index) {
  const std::string whole = index.stem().stem().string();  // model.safetensors
  const auto dot = whole.rfind('.');
  return name.find('/') == std::string::npos && name.find('\0') == std::string::npos &&
         name.starts_with(whole.substr(0, dot) + "-") && name.ends_with(whole.substr(dot));
}

Result<NamedTensors> read_one(const fs::path& file) {
  if (file.extension() != ".safetensors") return read_torch_file(file);
  FATHOM_ASSIGN(SafetensorsFile read, read_safetensors(file));
  return std::move(read.tensors);
}

// Which tensors each file must hold, by the index.
Result<std::map<std::string, std::set<std::string>>> by_file(const json& map, const fs::path& index) {
  std::map<std::string, std::set<std::string>> files;
  for (const auto& [tensor, file] : map.items()) {
    if (!file.is_string() || !is_shard(file.get<std::string>(), index)) {
      return wrong(index,
                   "\"" + tensor + "\" is said to be in " + file.dump() + ", which names no shard beside the index");
    }
    files[file.get<std::string>()].insert(tensor);
  }
  if (files.empty()) return wrong(index, "it names no tensors");
  if (files.size() > kMaxShards) return wrong(index, fmt::format("it names {} files", files.size()));
  return files;
}

}  // namespace

Result<NamedTensors> read_shards(const fs::path& index) {
  FATHOM_ASSIGN(const json map, parse_index(index));
  FATHOM_ASSIGN(const auto files, by_file(map, index));
  std::size_t there = 0;
  for (const auto& [name, tensors] : files) there += fs::exists(index.parent_path() / name) ? 1 : 0;
  NamedTensors all;
  for (const auto& [name, tensors] : files) {
    const fs::path file = index.parent_path() / name;
    if (!fs::exists(file)) {
      return Error{Errc::not_found, fmt::format("{} is missing: {} of the {} files that {} names are there; fetch the "
                                                "model again",
                                                file.string(), there, files.size(), index.filename().string())};
    }
    FATHOM_ASSIGN(NamedTensors read, read_one(file));
    for (const std::string& tensor : tensors) {
      if (read.contains(tensor)) continue;
      return wrong(index, "\"" + tensor + "\" is said to be in " + name + ", which does not hold it");
    }
    for (auto& [key, tensor] : read) {
      if (tensors.contains(key)) {
        all.emplace(key, std::move(tensor));
        continue;
      }
      const auto said = map.find(key);
      return wrong(index, "\"" + key + "\" is in " + name + ", but the index " +
                              (said == map.end() ? "does not name it" : "says " + said->dump()));
    }
  }
  return all;
}

}  // namespace fathom::trainer
