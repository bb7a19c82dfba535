// What the folder of one attempt holds, as docs/protocol.md describes it.
// Thread: free functions; those with a client block and run on a thread for transfers.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "common/ids.hpp"
#include "common/result.hpp"
#include "worker/artifact_cache.hpp"
#include "worker/artifact_client.hpp"

namespace fathom::wire {
class Assign;
}

namespace fathom::worker {

// True for "a/b.txt": relative, no empty, "." or ".." part, no backslash or control character.
[[nodiscard]] bool is_safe_relative(std::string_view path);

// Lays `assign.fetch` under inputs/ and `assign.resume` at resume.ckpt, out of the cache or from the coordinator. A
// resume checkpoint that cannot be had is taken out of `assign`: the job then starts from the beginning.
[[nodiscard]] Status lay_inputs(ArtifactClient& client, ArtifactCache& cache, wire::Assign& assign,
                                const std::filesystem::path& folder, const ArtifactClient::Cancelled& cancelled);

// A file to upload.
struct LocalFile {
  std::string path;  // relative to the tree, '/' separated
  std::filesystem::path file;
  std::string sha256;
  std::uint64_t size = 0;
};

// Every regular file below `tree`, by path, hashed; empty when there is no such folder. Links are refused.
[[nodiscard]] Result<std::vector<LocalFile>> hash_tree(const std::filesystem::path& tree);
// One file of the job's folder, named by the trainer. invalid_argument for a path that leads out of it.
[[nodiscard]] Result<LocalFile> hash_file(const std::filesystem::path& folder, const std::string& path);

}  // namespace fathom::worker
