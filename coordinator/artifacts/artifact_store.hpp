// Files known by their SHA-256, below one folder: ab/<64 hex digits>, uploads in incoming/. A name is always 64 lower
// case hex digits (else invalid_argument), so that no path comes from outside. A committed artifact never changes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.hpp"

namespace fathom::artifacts {

struct ArtifactInfo {
  std::string sha256;
  std::uint64_t size = 0;        // bytes
  std::int64_t modified_ms = 0;  // Unix milliseconds of the commit
};

// How far an upload is.
struct UploadState {
  std::uint64_t offset = 0;  // bytes to send next from here
  bool committed = false;    // nothing to send: the store has it
};

// Bytes of one artifact. Thread: one at a time. Stays readable after remove().
class ArtifactReader {
 public:
  explicit ArtifactReader(int file, std::uint64_t size) : file_(file), size_(size) {}
  ArtifactReader(const ArtifactReader&) = delete;
  ArtifactReader& operator=(const ArtifactReader&) = delete;
  ~ArtifactReader();
  [[nodiscard]] std::uint64_t size() const { return size_; }
  // Up to `bytes` from `offset`; shorter only at the end.
  Result<std::string> read(std::uint64_t offset, std::size_t bytes) const;

 private:
  int file_;  // owned descriptor
  std::uint64_t size_;
};

// Thread: every method from any thread. Two uploads of the same artifact share one staged file; bytes that are already
// there are skipped, so both may go on.
class ArtifactStore {
 public:
  virtual ~ArtifactStore() = default;

  // Starts or resumes an upload. Another announced size is another upload and replaces this one. resource_exhausted:
  // the disk cannot hold it.
  virtual Result<UploadState> begin(const std::string& sha256, std::uint64_t size) = 0;
  // Takes a chunk at `offset`; the answer says where to go on. The chunk that completes the file commits it: hash
  // checked, synced, renamed, folder synced; a wrong hash removes the upload and is `corrupt`. A gap is
  // failed_precondition with the wanted offset in the text.
  virtual Result<UploadState> write(const std::string& sha256, std::uint64_t offset, std::string_view bytes) = 0;

  virtual Result<std::unique_ptr<ArtifactReader>> open(const std::string& sha256) = 0;  // not_found
  virtual Result<ArtifactInfo> stat(const std::string& sha256) = 0;                     // not_found
  virtual Result<std::vector<ArtifactInfo>> list() = 0;                                 // in order of names
  virtual Status remove(const std::string& sha256) = 0;                                 // absent is success
  // Its bytes are not what its name says: out of the way, into damaged/, for a person. It may be uploaded again.
  virtual Status quarantine(const std::string& sha256) = 0;
  [[nodiscard]] virtual std::uint64_t total_bytes() const = 0;  // of committed artifacts
};

struct ArtifactStoreOptions {
  std::int64_t keep_incoming_seconds = 24 * 3600;  // staged files older than this are removed at start
};

// Makes the folder when needed, removes old staged files and counts what is there.
Result<std::unique_ptr<ArtifactStore>> open_artifact_store(const std::filesystem::path& folder,
                                                           const ArtifactStoreOptions& options = {});

}  // namespace fathom::artifacts
