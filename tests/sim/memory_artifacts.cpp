#include "tests/sim/memory_artifacts.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include "common/sha256.hpp"

namespace fathom::sim {
namespace {

Error absent() { return {Errc::not_found, "there is no such artifact"}; }

}  // namespace

Result<artifacts::UploadState> MemoryArtifacts::begin(const std::string& sha256, std::uint64_t size) {
  if (committed_.contains(sha256)) return artifacts::UploadState{size, true};
  if (full) return Error{Errc::resource_exhausted, "the disk is full"};
  Staged& staged = staged_[sha256];
  if (staged.size != size) staged = {size, {}};
  return artifacts::UploadState{staged.bytes.size(), false};
}

Result<artifacts::UploadState> MemoryArtifacts::write(const std::string& sha256, std::uint64_t offset,
                                                      std::string_view bytes) {
  if (const auto found = committed_.find(sha256); found != committed_.end()) {
    return artifacts::UploadState{found->second.size(), true};
  }
  if (full) return Error{Errc::resource_exhausted, "the disk is full"};
  const auto found = staged_.find(sha256);
  if (found == staged_.end() || offset > found->second.bytes.size()) {
    return Error{Errc::failed_precondition, "bytes are missing before this chunk"};
  }
  Staged& staged = found->second;
  const auto known = static_cast<std::size_t>(staged.bytes.size() - offset);
  if (bytes.size() > known) staged.bytes += bytes.substr(known);
  if (staged.bytes.size() < staged.size) return artifacts::UploadState{staged.bytes.size(), false};
  std::string whole = std::move(staged.bytes);
  staged_.erase(found);
  if (sha256_hex(whole) != sha256) return Error{Errc::corrupt, "the bytes are not those of this name"};
  const auto size = static_cast<std::uint64_t>(whole.size());
  committed_.emplace(sha256, std::move(whole));
  return artifacts::UploadState{size, true};
}

// The reader wants a descriptor; a nameless file in memory has one.
Result<std::unique_ptr<artifacts::ArtifactReader>> MemoryArtifacts::open(const std::string& sha256) {
  const auto found = committed_.find(sha256);
  if (found == committed_.end()) return absent();
  const int file = ::memfd_create("artifact", MFD_CLOEXEC);
  const auto& bytes = found->second;
  if (file < 0 || ::write(file, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) {
    if (file >= 0) ::close(file);
    return Error{Errc::internal, "no file in memory"};
  }
  return std::make_unique<artifacts::ArtifactReader>(file, bytes.size());
}

Result<artifacts::ArtifactInfo> MemoryArtifacts::stat(const std::string& sha256) {
  const auto found = committed_.find(sha256);
  if (found == committed_.end()) return absent();
  return artifacts::ArtifactInfo{sha256, found->second.size(), 0};
}

Result<std::vector<artifacts::ArtifactInfo>> MemoryArtifacts::list() {
  std::vector<artifacts::ArtifactInfo> all;
  for (const auto& [sha256, bytes] : committed_) all.push_back({sha256, bytes.size(), 0});
  return all;
}

Status MemoryArtifacts::remove(const std::string& sha256) {
  committed_.erase(sha256);
  return success();
}

std::uint64_t MemoryArtifacts::total_bytes() const {
  std::uint64_t total = 0;
  for (const auto& [sha256, bytes] : committed_) total += bytes.size();
  return total;
}

const std::string* MemoryArtifacts::bytes(const std::string& sha256) const {
  const auto found = committed_.find(sha256);
  return found == committed_.end() ? nullptr : &found->second;
}

}  // namespace fathom::sim
