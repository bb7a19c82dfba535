// Artifacts that this worker has fetched or made, by hash: <folder>/ab/<64 hex digits>. A fusion on the worker that
// trained its members, or a resume after a crash, then fetches nothing. Files are checked against their hash each time
// they are used, so a broken one is only a miss.
#pragma once

#include <cstdint>
#include <filesystem>
#include <mutex>
#include <string>

#include "common/result.hpp"

namespace fathom::worker {

// Thread: every method from any thread.
class ArtifactCache {
 public:
  // `limit`: bytes; beyond it the least recently used files go.
  ArtifactCache(std::filesystem::path folder, std::uint64_t limit);

  // Copies the artifact to `destination`, whose folder exists. False: not here, or not whole any more.
  [[nodiscard]] Result<bool> lay(const std::string& sha256, const std::filesystem::path& destination);
  // Keeps `file`, whose hash is known, under its hash; shares its blocks where the file system can. Failures cost only
  // a later download and are ignored.
  void keep(const std::filesystem::path& file, const std::string& sha256);
  // Removes the least recently used files until at most `bytes` are left (0: everything, when a disk is full).
  void shrink(std::uint64_t bytes);

 private:
  [[nodiscard]] std::filesystem::path path_of(const std::string& sha256) const;
  void measure();

  const std::filesystem::path folder_;
  const std::uint64_t limit_;
  std::mutex mutex_;        // protects size_ and orders removals
  std::uint64_t size_ = 0;  // bytes, as far as this process knows
};

}  // namespace fathom::worker
