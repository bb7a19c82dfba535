#include "worker/file_transfers.hpp"

#include <fmt/format.h>

#include <system_error>

#include "common/crash_point.hpp"
#include "common/protocol/wire.pb.h"
#include "worker/job_folder.hpp"

namespace fathom::worker {
namespace {

// Hashes and uploads files and names them in `out`.
Status put(ArtifactClient& artifacts, ArtifactCache& cache, const std::vector<LocalFile>& files,
           const ArtifactClient::Cancelled& cancelled, const std::function<wire::File*()>& out) {
  for (const LocalFile& file : files) {
    FATHOM_TRY(artifacts.put(file.file, file.sha256, file.size, cancelled));
    crash_point("file.uploaded");
    cache.keep(file.file, file.sha256);
    wire::File* entry = out();
    entry->set_path(file.path);
    entry->set_sha256(file.sha256);
    entry->set_size(file.size);
  }
  return success();
}

Status put_checkpoint(ArtifactClient& artifacts, ArtifactCache& cache, const std::filesystem::path& folder,
                      const ArtifactClient::Cancelled& cancelled, wire::Checkpoint& checkpoint) {
  FATHOM_ASSIGN(const LocalFile file, hash_file(folder, checkpoint.path()));
  return put(artifacts, cache, {file}, cancelled, [&] { return checkpoint.mutable_file(); });
}

Error nothing_written(const std::filesystem::path& tree) {
  return Error{Errc::internal, fmt::format("the trainer said finished but wrote nothing to {}", tree.string())};
}

Status put_final(ArtifactClient& artifacts, ArtifactCache& cache, const std::filesystem::path& tree,
                 const ArtifactClient::Cancelled& cancelled, wire::Item& item) {
  FATHOM_ASSIGN(const std::vector<LocalFile> files, hash_tree(tree));
  // A result without files has an empty folder; without any folder something went wrong.
  std::error_code ignored;
  if (files.empty() && item.has_finished() && !std::filesystem::exists(tree, ignored)) return nothing_written(tree);
  auto* list = item.has_finished() ? item.mutable_finished()->mutable_files() : item.mutable_stopped()->mutable_files();
  list->Clear();
  return put(artifacts, cache, files, cancelled, [list] { return list->Add(); });
}

}  // namespace

void FileTransfers::lay(const wire::Assign& assign, const std::filesystem::path& folder, Flag cancelled, Laid done) {
  folders_.spend(folder);
  downloads_.post(
      [this, assign = wire::Assign(assign), folder, flag = std::move(cancelled), done = std::move(done)]() mutable {
        Status laid = lay_inputs(client_, cache_, assign, folder, [flag] { return flag->load(); });
        if (laid) laid = sandbox_.give(folder);
        loop_.post([assign = std::move(assign), done = std::move(done), laid] { done(assign, laid); });
      });
}

void FileTransfers::upload(const wire::Item& item, const std::filesystem::path& folder, Flag cancelled, Uploaded done) {
  uploads_.post([this, item = wire::Item(item), folder, flag = std::move(cancelled), done = std::move(done)]() mutable {
    const auto wanted = [flag] { return flag->load(); };
    Status status = success();
    if (item.has_checkpoint()) {
      status = put_checkpoint(client_, cache_, folder, wanted, *item.mutable_checkpoint());
      item.mutable_checkpoint()->clear_path();  // of this worker's disk, nobody else's business
    } else if (item.has_finished() || item.has_stopped()) {
      status = upload_final(folder, wanted, item);
    }
    loop_.post([item = std::move(item), done = std::move(done), status]() mutable { done(item, status); });
  });
}

Status FileTransfers::upload_final(const std::filesystem::path& folder, const ArtifactClient::Cancelled& wanted,
                                   wire::Item& item) {
  switch (folders_.look(folder)) {
    case JobFolders::Left::nothing:
      if (item.has_finished()) return nothing_written(folder / "final");
      [[fallthrough]];
    case JobFolders::Left::empty_final:
      if (item.has_finished()) item.mutable_finished()->clear_files();
      if (item.has_stopped()) item.mutable_stopped()->clear_files();
      return success();
    case JobFolders::Left::something:
      break;
  }
  return put_final(client_, cache_, folder / "final", wanted, item);
}

void FileTransfers::after_uploads(std::function<void()> done) {
  uploads_.post([this, done = std::move(done)] { loop_.post(done); });
}

void FileTransfers::remove_folder(const std::filesystem::path& folder) {
  if (folders_.take_back(folder)) return;
  // A large tree takes a while to remove.
  uploads_.post([this, folder] { folders_.give_back(folder); });
}

}  // namespace fathom::worker
