// What names data and models in results and in the cache: SHA-256 of their files. Hashing 400 MB takes a second, so a
// hash is remembered with the file's size and modification time. Thread: HashCache may be shared by threads.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include <nlohmann/json_fwd.hpp>

#include "common/result.hpp"

namespace fathom::data {

class HashCache {
 public:
  // SHA-256 of the file, computed anew when size or mtime (ns) differ from the remembered ones.
  Result<std::string> file(const std::filesystem::path& path);

 private:
  struct Entry {
    std::uintmax_t size = 0;
    std::int64_t mtime = 0;  // ns of the file clock
    std::string sha256;
  };
  std::mutex mutex_;                      // protects entries_; not held while hashing
  std::map<std::string, Entry> entries_;  // by path as given
};

// Of the weights that a reader takes: model.safetensors as it is (the hash that model hubs publish), else its shards:
// SHA-256 over the shards' hashes in file-name order; else the same of pytorch_model.bin. not_found names the files
// that were looked for.
Result<std::string> model_sha256(HashCache& cache, const std::filesystem::path& folder);

// Of a task's data: SHA-256 over the lines "role sha256\n" for train, eval and labels.json, those that exist, then the
// other files that score (more_evals()) by their split's name.
Result<std::string> data_sha256(HashCache& cache, const std::filesystem::path& root, const nlohmann::json& task);

// Of an adapter in a folder of the `adapters` library: SHA-256 over the lines "file sha256\n" of its config and weights
// and its head's, those that exist. not_found without adapter_config.json.
Result<std::string> adapter_sha256(HashCache& cache, const std::filesystem::path& folder);

}  // namespace fathom::data
