#include "coordinator/artifacts/artifact_store.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <map>
#include <mutex>

#include <fmt/format.h>

#include "common/crash_point.hpp"
#include "common/files.hpp"
#include "common/sha256.hpp"
#include "coordinator/artifacts/upload.hpp"

namespace fathom::artifacts {
namespace {

namespace fs = std::filesystem;

// Staged files whose hash and descriptor are kept at hand; beyond it the ones that nobody uses are closed.
constexpr std::size_t kMaxOpenUploads = 64;
// An upload is refused when it would leave less than this: the event log needs it more.
constexpr std::uint64_t kReserveBytes = 64U << 20;

Status check_name(const std::string& sha256) {
  if (is_sha256(sha256)) return success();
  return Error{Errc::invalid_argument, fmt::format("\"{}\" is no artifact: 64 lower-case hex digits (a SHA-256) were "
                                                   "expected",
                                                   sha256.substr(0, 80))};
}

class DirectoryStore final : public ArtifactStore {
 public:
  explicit DirectoryStore(fs::path folder) : folder_(std::move(folder)) {}
  Status prepare(const ArtifactStoreOptions& options);

  Result<UploadState> begin(const std::string& sha256, std::uint64_t size) override;
  Result<UploadState> write(const std::string& sha256, std::uint64_t offset, std::string_view bytes) override;
  Result<std::unique_ptr<ArtifactReader>> open(const std::string& sha256) override;
  Result<ArtifactInfo> stat(const std::string& sha256) override;
  Result<std::vector<ArtifactInfo>> list() override;
  Status remove(const std::string& sha256) override;
  Status quarantine(const std::string& sha256) override;
  [[nodiscard]] std::uint64_t total_bytes() const override { return total_; }

 private:
  [[nodiscard]] fs::path path_of(const std::string& sha256) const { return folder_ / sha256.substr(0, 2) / sha256; }
  [[nodiscard]] fs::path staged(const std::string& sha256, std::uint64_t size) const {
    return folder_ / "incoming" / fmt::format("{}.{}", sha256, size);
  }
  Result<std::shared_ptr<Upload>> upload_of(const std::string& sha256, std::uint64_t size);
  Result<UploadState> commit(const std::shared_ptr<Upload>& upload);
  void forget(const std::string& sha256);
  void close_idle();
  Status check_space(std::uint64_t bytes) const;

  fs::path folder_;
  std::mutex mutex_;                                        // uploads_, and renames into place
  std::map<std::string, std::shared_ptr<Upload>> uploads_;  // mutex_
  std::atomic<std::uint64_t> total_ = 0;
};

Status DirectoryStore::prepare(const ArtifactStoreOptions& options) {
  FATHOM_TRY(make_folders((folder_ / "incoming").string(), 0750));
  FATHOM_TRY(sync_folder(folder_.string()));  // a shelf that is there is durable
  const std::time_t oldest = std::time(nullptr) - options.keep_incoming_seconds;
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(folder_ / "incoming", failed)) {
    struct stat info {};
    if (::stat(entry.path().c_str(), &info) == 0 && info.st_mtime < oldest) ::unlink(entry.path().c_str());
  }
  FATHOM_ASSIGN(const std::vector<ArtifactInfo> all, list());
  for (const ArtifactInfo& info : all) total_ += info.size;
  return success();
}

Status DirectoryStore::check_space(std::uint64_t bytes) const {
  struct statvfs disk {};
  if (statvfs(folder_.c_str(), &disk) != 0) return success();  // unknown: the write will tell
  const std::uint64_t free = std::uint64_t{disk.f_bavail} * disk.f_frsize;
  if (free >= kReserveBytes && free - kReserveBytes >= bytes) return success();
  return Error{Errc::resource_exhausted,
               fmt::format("the disk of {} has {} MiB free, the artifact needs {} MiB and {} MiB "
                           "are kept: free some space; the upload goes on by itself",
                           folder_.string(), free >> 20, (bytes >> 20) + 1, kReserveBytes >> 20)};
}

void DirectoryStore::close_idle() {
  for (auto it = uploads_.begin(); it != uploads_.end() && uploads_.size() >= kMaxOpenUploads;) {
    it = it->second.use_count() == 1 ? uploads_.erase(it) : std::next(it);
  }
}

// The announced size is part of the staged file's name, so that a peer which announces another one can never write into
// a file that somebody else is filling.
Result<std::shared_ptr<Upload>> DirectoryStore::upload_of(const std::string& sha256, std::uint64_t size) {
  const std::lock_guard lock(mutex_);
  const auto known = uploads_.find(sha256);
  if (known != uploads_.end() && known->second->size() == size) return known->second;
  uploads_.erase(sha256);
  close_idle();
  FATHOM_ASSIGN(std::shared_ptr<Upload> fresh, Upload::open(staged(sha256, size), sha256, size));
  uploads_.emplace(sha256, fresh);
  return fresh;
}

void DirectoryStore::forget(const std::string& sha256) {
  const std::lock_guard lock(mutex_);
  uploads_.erase(sha256);
}

Result<UploadState> DirectoryStore::begin(const std::string& sha256, std::uint64_t size) {
  FATHOM_TRY(check_name(sha256));
  if (const auto known = stat(sha256); known) return UploadState{known->size, true};
  FATHOM_ASSIGN(const std::shared_ptr<Upload> upload, upload_of(sha256, size));
  const std::uint64_t offset = upload->offset();
  // Complete but not renamed (a crash in between), or an empty file: nothing more will be sent.
  if (offset == size) return commit(upload);
  FATHOM_TRY(check_space(size - offset));
  return UploadState{offset, false};
}

Result<UploadState> DirectoryStore::write(const std::string& sha256, std::uint64_t offset, std::string_view bytes) {
  FATHOM_TRY(check_name(sha256));
  std::shared_ptr<Upload> upload;
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = uploads_.find(sha256); found != uploads_.end()) upload = found->second;
  }
  if (upload == nullptr) {
    if (const auto known = stat(sha256); known) return UploadState{known->size, true};
    return Error{Errc::failed_precondition, "the upload of " + sha256 + " has not begun: announce it again"};
  }
  FATHOM_ASSIGN(const std::uint64_t next, upload->write(offset, bytes));
  if (next == upload->size()) return commit(upload);
  return UploadState{next, false};
}

Result<UploadState> DirectoryStore::commit(const std::shared_ptr<Upload>& upload) {
  const fs::path target = path_of(upload->sha256());
  // Only this fails for a bad file; the others say that the disk does not work, and the staged file stays.
  if (const Status verified = upload->verify(); !verified) {
    forget(upload->sha256());
    return verified.error();
  }
  FATHOM_TRY(upload->sync());
  crash_point("artifact.staged");
  const std::lock_guard lock(mutex_);
  if (!fs::exists(target)) {
    const bool fresh = !fs::exists(target.parent_path());
    if (fresh) {
      FATHOM_TRY(make_folders(target.parent_path().string(), 0750));
      FATHOM_TRY(sync_folder(folder_.string()));
    }
    if (::rename(staged(upload->sha256(), upload->size()).c_str(), target.c_str()) != 0) {
      return system_error(errno, "committing", target.string());
    }
    FATHOM_TRY(sync_folder(target.parent_path().string()));
    crash_point("artifact.committed");
    total_ += upload->size();
  }
  uploads_.erase(upload->sha256());
  return UploadState{upload->size(), true};
}

Result<std::unique_ptr<ArtifactReader>> DirectoryStore::open(const std::string& sha256) {
  FATHOM_TRY(check_name(sha256));
  const int file = ::open(path_of(sha256).c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0 && errno == ENOENT) return Error{Errc::not_found, "there is no artifact " + sha256};
  if (file < 0) return system_error(errno, "opening", path_of(sha256).string());
  struct stat info {};
  if (fstat(file, &info) != 0) {
    const int number = errno;
    ::close(file);
    return system_error(number, "reading", path_of(sha256).string());
  }
  return std::make_unique<ArtifactReader>(file, static_cast<std::uint64_t>(info.st_size));
}

Result<ArtifactInfo> DirectoryStore::stat(const std::string& sha256) {
  FATHOM_TRY(check_name(sha256));
  struct stat info {};
  if (::stat(path_of(sha256).c_str(), &info) == 0) {
    const std::int64_t modified = info.st_mtim.tv_sec * 1000 + info.st_mtim.tv_nsec / 1000000;
    return ArtifactInfo{sha256, static_cast<std::uint64_t>(info.st_size), modified};
  }
  if (errno == ENOENT) return Error{Errc::not_found, "there is no artifact " + sha256};
  return system_error(errno, "reading", path_of(sha256).string());
}

Result<std::vector<ArtifactInfo>> DirectoryStore::list() {
  std::vector<ArtifactInfo> all;
  std::error_code failed;
  for (const auto& shelf : fs::directory_iterator(folder_, failed)) {
    const std::string prefix = shelf.path().filename().string();
    if (prefix.size() != 2) continue;
    for (const auto& entry : fs::directory_iterator(shelf.path(), failed)) {
      const std::string name = entry.path().filename().string();
      if (!is_sha256(name) || name.compare(0, 2, prefix) != 0) continue;
      if (const auto info = stat(name); info) all.push_back(*info);
    }
  }
  if (failed) return system_error(failed.value(), "listing", folder_.string());
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.sha256 < b.sha256; });
  return all;
}

Status DirectoryStore::remove(const std::string& sha256) {
  FATHOM_TRY(check_name(sha256));
  const std::lock_guard lock(mutex_);
  const auto known = stat(sha256);
  if (!known) return known.error().code == Errc::not_found ? success() : Status(known.error());
  if (::unlink(path_of(sha256).c_str()) != 0) return system_error(errno, "removing", path_of(sha256).string());
  total_ -= known->size;
  return success();
}

Status DirectoryStore::quarantine(const std::string& sha256) {
  FATHOM_TRY(check_name(sha256));
  FATHOM_TRY(make_folders((folder_ / "damaged").string(), 0750));
  const std::lock_guard lock(mutex_);
  FATHOM_ASSIGN(const ArtifactInfo known, stat(sha256));
  const fs::path aside = folder_ / "damaged" / sha256;
  if (::rename(path_of(sha256).c_str(), aside.c_str()) != 0) return system_error(errno, "moving", aside.string());
  total_ -= known.size;
  return success();
}

}  // namespace

ArtifactReader::~ArtifactReader() { ::close(file_); }

Result<std::string> ArtifactReader::read(std::uint64_t offset, std::size_t bytes) const {
  if (offset >= size_) return std::string{};
  std::string data(std::min<std::uint64_t>(bytes, size_ - offset), '\0');
  std::size_t done = 0;
  while (done < data.size()) {
    const auto at = static_cast<off_t>(offset + done);
    const ssize_t got = ::pread(file_, data.data() + done, data.size() - done, at);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error(errno, "reading", "an artifact");
    if (got == 0) return Error{Errc::corrupt, "an artifact is shorter than it was when it was opened"};
    done += static_cast<std::size_t>(got);
  }
  return data;
}

Result<std::unique_ptr<ArtifactStore>> open_artifact_store(const fs::path& folder,
                                                           const ArtifactStoreOptions& options) {
  auto store = std::make_unique<DirectoryStore>(folder);
  FATHOM_TRY(store->prepare(options));
  return std::unique_ptr<ArtifactStore>(std::move(store));
}

}  // namespace fathom::artifacts
