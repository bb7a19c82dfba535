#include "worker/job_folder.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <system_error>

#include "common/files.hpp"
#include "common/protocol/fences.hpp"
#include "common/protocol/wire.pb.h"
#include "common/sha256.hpp"

namespace fathom::worker {
namespace fs = std::filesystem;
namespace {

Status fetch(ArtifactClient& client, ArtifactCache& cache, const std::string& sha256, const fs::path& destination,
             const ArtifactClient::Cancelled& cancelled) {
  if (!is_sha256(sha256)) return Error{Errc::invalid_argument, fmt::format("'{}' names no artifact", sha256)};
  FATHOM_ASSIGN(const bool cached, cache.lay(sha256, destination));
  if (cached) return success();
  FATHOM_TRY(client.get(sha256, destination, cancelled));
  cache.keep(destination, sha256);
  return success();
}

Result<LocalFile> hashed(std::string path, const fs::path& file) {
  std::error_code error;
  const auto status = fs::symlink_status(file, error);
  if (error || !fs::exists(status)) return Error{Errc::not_found, fmt::format("{} does not exist", file.string())};
  if (!fs::is_regular_file(status)) {
    return Error{Errc::invalid_argument, fmt::format("{} is not a regular file", file.string())};
  }
  FATHOM_ASSIGN(std::string sha256, sha256_file(file.string()));
  const auto size = fs::file_size(file, error);
  if (error) return system_error(error.value(), "reading", file.string());
  return LocalFile{std::move(path), file, std::move(sha256), size};
}

// Takes the checkpoint out of `assign` where it cannot be had.
Status lay_resume(ArtifactClient& client, ArtifactCache& cache, wire::Assign& assign, const fs::path& folder,
                  const ArtifactClient::Cancelled& cancelled) {
  if (!assign.has_resume()) return success();
  auto resumed = fetch(client, cache, assign.resume().file().sha256(), folder / "resume.ckpt", cancelled);
  if (resumed) return success();
  // A full disk or a cancelled job is the job's end.
  const Errc code = resumed.error().code;
  if (code != Errc::not_found && code != Errc::corrupt && code != Errc::invalid_argument) return resumed;
  spdlog::warn("no resume from epoch {} job={} error=\"{}\"", assign.resume().epoch(),
               describe(from_wire(assign.fence())), resumed.error().message);
  assign.clear_resume();
  return success();
}

}  // namespace

bool is_safe_relative(std::string_view path) {
  if (path.empty() || path.size() > 4096) return false;
  for (const char c : path) {
    if (c == '\\' || static_cast<unsigned char>(c) < 0x20) return false;
  }
  while (true) {
    const auto slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    if (part.empty() || part == "." || part == "..") return false;
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
  }
}

Status lay_inputs(ArtifactClient& client, ArtifactCache& cache, wire::Assign& assign, const fs::path& folder,
                  const ArtifactClient::Cancelled& cancelled) {
  for (const wire::File& file : assign.fetch()) {
    if (!is_safe_relative(file.path())) {
      return Error{Errc::invalid_argument,
                   fmt::format("an input's path leads out of the job's folder: {}", file.path())};
    }
    const fs::path destination = folder / "inputs" / file.path();
    FATHOM_TRY(make_folders(destination.parent_path().string(), 0700));
    FATHOM_TRY(fetch(client, cache, file.sha256(), destination, cancelled));
  }
  FATHOM_TRY(lay_resume(client, cache, assign, folder, cancelled));
  // One that is lost or damaged costs only the epochs since the one before it.
  std::vector<wire::Checkpoint> others;
  if (assign.has_resume_older()) others.push_back(assign.resume_older());
  others.insert(others.end(), assign.resume_earlier().begin(), assign.resume_earlier().end());
  for (std::size_t next = 0; next < others.size() && !assign.has_resume(); ++next) {
    assign.mutable_resume()->Swap(&others[next]);
    FATHOM_TRY(lay_resume(client, cache, assign, folder, cancelled));
  }
  assign.clear_resume_older();
  assign.clear_resume_earlier();
  return success();
}

Result<std::vector<LocalFile>> hash_tree(const fs::path& tree) {
  std::vector<LocalFile> files;
  std::error_code error;
  fs::recursive_directory_iterator entry(tree, error);
  if (error == std::errc::no_such_file_or_directory) return files;
  for (const fs::recursive_directory_iterator end; !error && entry != end; entry.increment(error)) {
    if (entry->is_directory() && !entry->is_symlink()) continue;
    FATHOM_ASSIGN(LocalFile file, hashed(entry->path().lexically_relative(tree).generic_string(), entry->path()));
    files.push_back(std::move(file));
  }
  if (error) return system_error(error.value(), "reading", tree.string());
  std::sort(files.begin(), files.end(), [](const LocalFile& a, const LocalFile& b) { return a.path < b.path; });
  return files;
}

Result<LocalFile> hash_file(const fs::path& folder, const std::string& path) {
  if (!is_safe_relative(path)) {
    return Error{Errc::invalid_argument, fmt::format("the trainer named a file outside of the job's folder: {}", path)};
  }
  return hashed(path, folder / path);
}

}  // namespace fathom::worker
