// A worker's files on their way, in the real protocol of puts, gets and chunks, without threads: what FileTransfers
// does by blocking, as two queues of which only the first entry moves. Thread: one. Owner: the agent.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "common/protocol/wire.pb.h"
#include "tests/sim/sim_worker.hpp"
#include "worker/transfers.hpp"

namespace fathom::sim {

class SimTransfers final : public worker::Transfers {
 public:
  SimTransfers(World& world, worker::Loop& loop, Files& files, Life life)
      : world_(world), loop_(loop), files_(files), life_(std::move(life)) {}

  void opened(std::function<bool(const wire::Envelope&)> send) override;
  void lost() override;
  void deliver(std::shared_ptr<const wire::Envelope> envelope) override;
  void stop() override { stopped_ = true; }

  [[nodiscard]] Result<std::filesystem::path> make_folder(const Fence& fence) override;
  void lay(const wire::Assign& assign, const std::filesystem::path& folder, Flag cancelled, Laid done) override;
  void upload(const wire::Item& item, const std::filesystem::path& folder, Flag cancelled, Uploaded done) override;
  void after_uploads(std::function<void()> done) override;
  void remove_folder(const std::filesystem::path& folder) override;
  void shrink() override { cache_.clear(); }

 private:
  // One file of an upload or a download.
  struct Piece {
    std::string path;  // in the item or below the folder
    std::string sha256;
    std::string bytes;
    bool resume = false;
  };
  struct Task {
    std::vector<Piece> pieces;
    std::size_t next = 0;
    Flag cancelled;
    std::function<void(Task&, const Status&)> done;
  };
  void empty(const std::filesystem::path& folder);
  void add(std::deque<Task>& queue, Task task);
  // Does what the first task of a queue can do now.
  void pump_uploads();
  void pump_downloads();
  void end_first(std::deque<Task>& queue, const Status& status);
  [[nodiscard]] bool cancelled(const Task& task) const { return task.cancelled && task.cancelled->load(); }
  void watch();
  void have(const wire::ArtifactHave& answer);
  void chunk(const wire::ArtifactChunk& chunk);

  World& world_;
  worker::Loop& loop_;
  Files& files_;
  const Life life_;
  std::function<bool(const wire::Envelope&)> send_;  // empty: no contact
  std::deque<Task> uploads_, downloads_;
  bool asked_put_ = false, asked_get_ = false, chunks_sent_ = false, watching_ = false, stopped_ = false;
  TimePoint put_at_{}, get_at_{};
  std::map<std::string, std::string> cache_;  // by hash
};

}  // namespace fathom::sim
