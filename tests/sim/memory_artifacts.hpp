// The coordinator's artifact store in memory: the contract of ArtifactStore without its files. What is committed is
// durable at once; staged bytes go with the power. Thread: one.
#pragma once

#include <map>
#include <string>

#include "coordinator/artifacts/artifact_store.hpp"

namespace fathom::sim {

class MemoryArtifacts final : public artifacts::ArtifactStore {
 public:
  bool full = false;

  Result<artifacts::UploadState> begin(const std::string& sha256, std::uint64_t size) override;
  Result<artifacts::UploadState> write(const std::string& sha256, std::uint64_t offset,
                                       std::string_view bytes) override;
  Result<std::unique_ptr<artifacts::ArtifactReader>> open(const std::string& sha256) override;
  Result<artifacts::ArtifactInfo> stat(const std::string& sha256) override;
  Result<std::vector<artifacts::ArtifactInfo>> list() override;
  Status remove(const std::string& sha256) override;
  Status quarantine(const std::string& sha256) override { return remove(sha256); }
  [[nodiscard]] std::uint64_t total_bytes() const override;

  // Null: not there.
  [[nodiscard]] const std::string* bytes(const std::string& sha256) const;
  void lose_power() { staged_.clear(); }

 private:
  struct Staged {
    std::uint64_t size = 0;
    std::string bytes;
  };
  std::map<std::string, std::string> committed_;
  std::map<std::string, Staged> staged_;
};

}  // namespace fathom::sim
