// The thread that writes spools. What is queued while it works is written together: one fdatasync an attempt and round,
// however many items. Items are reported durable in the order they were queued.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/ids.hpp"
#include "common/result.hpp"
#include "worker/spool_file.hpp"

namespace fathom::worker {

// Thread: methods from any thread. Owner: the agent; destruction writes what is queued and ends the thread.
class Spooler {
 public:
  // Called on the spooler's thread: every item of the attempt up to `sequence` is durable, or why it cannot be.
  using Durable = std::function<void(const Fence&, std::uint64_t sequence, const Status&)>;

  Spooler(std::filesystem::path folder, Durable durable);
  ~Spooler();
  Spooler(const Spooler&) = delete;
  Spooler& operator=(const Spooler&) = delete;

  // Durable() is called for it.
  void append_item(const Fence& fence, std::uint64_t sequence, std::string payload);
  // Metrics and log text: written with the next round, not waited for. A failure is logged by the next item's.
  void append(const Fence& fence, SpoolRecord record);
  // Replaces the attempt's spool: drops from disk what was acknowledged.
  void rewrite(const Fence& fence, std::vector<SpoolRecord> records);
  // Everything is acknowledged, or nobody wants it.
  void remove(const Fence& fence);
  // Waits until all that was queued before is done.
  void flush();

 private:
  enum class Action { append, rewrite, remove };
  struct Job {
    Fence fence;
    Action action = Action::append;
    std::vector<SpoolRecord> records;
    std::uint64_t sequence = 0;  // 0: nobody waits
  };

  void push(Job job);
  void run();
  void write_round(std::vector<Job>& round);
  void write_attempt(const Fence& fence, std::vector<Job*>& jobs);
  [[nodiscard]] Status apply(const Fence& fence, Job& job);

  const std::filesystem::path folder_;
  const Durable durable_;
  std::map<Fence, SpoolFile> files_;  // of the thread alone

  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable idle_;
  std::vector<Job> queue_;
  bool busy_ = false;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace fathom::worker
