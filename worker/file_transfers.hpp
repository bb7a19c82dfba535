// Transfers on this machine's disk: two threads, one for uploads and one for downloads, which block on disk and peer; a
// cache of what came and went.
#pragma once

#include "worker/artifact_cache.hpp"
#include "worker/artifact_client.hpp"
#include "worker/job_folders.hpp"
#include "worker/loop.hpp"
#include "worker/sandbox.hpp"
#include "worker/task_thread.hpp"
#include "worker/transfers.hpp"

namespace fathom::worker {

class FileTransfers final : public Transfers {
 public:
  // `jobs`: where folders of attempts are made. `cache`: its folder, and how many bytes it may hold. The loop outlives
  // this. What is laid is made readable, and its folders writable, for the trainers of `sandbox`.
  FileTransfers(Loop& loop, std::filesystem::path jobs, const std::filesystem::path& cache, std::uint64_t cache_limit,
                const Sandbox& sandbox = {})
      : loop_(loop), cache_(cache, cache_limit), sandbox_(sandbox), folders_(std::move(jobs), sandbox) {}
  ~FileTransfers() override { client_.stop(); }

  void opened(std::function<bool(const wire::Envelope&)> send) override { client_.opened(std::move(send)); }
  void lost() override { client_.lost(); }
  void deliver(std::shared_ptr<const wire::Envelope> envelope) override { client_.deliver(std::move(envelope)); }
  void stop() override { client_.stop(); }

  [[nodiscard]] Result<std::filesystem::path> make_folder(const Fence&) override { return folders_.take(); }
  void lay(const wire::Assign& assign, const std::filesystem::path& folder, Flag cancelled, Laid done) override;
  void upload(const wire::Item& item, const std::filesystem::path& folder, Flag cancelled, Uploaded done) override;
  void after_uploads(std::function<void()> done) override;
  void remove_folder(const std::filesystem::path& folder) override;
  void shrink() override { cache_.shrink(0); }

 private:
  // Of a Finished or Stopped; on the thread of uploads.
  Status upload_final(const std::filesystem::path& folder, const ArtifactClient::Cancelled& wanted, wire::Item& item);

  Loop& loop_;
  ArtifactClient client_;
  ArtifactCache cache_;
  const Sandbox sandbox_;
  JobFolders folders_;
  TaskThread uploads_;  // last: their tasks use what stands above
  TaskThread downloads_;
};

}  // namespace fathom::worker
