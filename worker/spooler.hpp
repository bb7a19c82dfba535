// Where items are made durable before they are sent. What is queued while a round is written is written together with
// the next one: one fdatasync an attempt and round, however many items. Items are reported durable in the order they
// were queued.
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

// One thing to do with one attempt's spool.
struct SpoolJob {
  enum class Action { append, rewrite, remove };
  Fence fence;
  Action action = Action::append;
  std::vector<SpoolRecord> records;
  std::uint64_t sequence = 0;  // of the item that somebody waits for; 0: nobody waits
};

// Writes rounds of jobs. Thread: one at a time. Owner: a Spooler.
class SpoolWriter {
 public:
  // Every item of the attempt up to `sequence` is durable, or why it cannot be.
  using Durable = std::function<void(const Fence&, std::uint64_t sequence, const Status&)>;

  SpoolWriter(std::filesystem::path folder, Durable durable, Disk& disk)
      : folder_(std::move(folder)), durable_(std::move(durable)), disk_(disk) {}
  void write_round(std::vector<SpoolJob>& round);

 private:
  void write_attempt(const Fence& fence, std::vector<SpoolJob*>& jobs);
  [[nodiscard]] Status apply(const Fence& fence, SpoolJob& job);

  const std::filesystem::path folder_;
  const Durable durable_;
  Disk& disk_;
  std::map<Fence, SpoolFile> files_;
};

// Thread: methods from any thread. Owner: the job runner; destruction ends it.
class Spooler {
 public:
  using Durable = SpoolWriter::Durable;
  virtual ~Spooler() = default;

  // What an earlier worker left. Called before anything else.
  [[nodiscard]] virtual std::vector<SpoolContents> recover() = 0;
  // Durable() is called for it.
  void append_item(const Fence& fence, std::uint64_t sequence, std::string payload) {
    SpoolJob job{fence, SpoolJob::Action::append, {}, sequence};
    job.records.push_back({SpoolKind::item, std::move(payload)});
    push(std::move(job));
  }
  // Metrics and log text: written with the next round, not waited for. A failure is logged by the next item's.
  void append(const Fence& fence, SpoolRecord record) {
    SpoolJob job{fence, SpoolJob::Action::append, {}, 0};
    job.records.push_back(std::move(record));
    push(std::move(job));
  }
  // Replaces the attempt's spool: drops from disk what was acknowledged.
  void rewrite(const Fence& fence, std::vector<SpoolRecord> records) {
    push({fence, SpoolJob::Action::rewrite, std::move(records), 0});
  }
  // Everything is acknowledged, or nobody wants it.
  void remove(const Fence& fence) { push({fence, SpoolJob::Action::remove, {}, 0}); }

 protected:
  virtual void push(SpoolJob job) = 0;
};

// On a thread of its own, which Durable is called on. Destruction writes what is queued.
class ThreadSpooler final : public Spooler {
 public:
  ThreadSpooler(const std::filesystem::path& folder, Durable durable, Disk& disk = system_disk());
  ~ThreadSpooler() override;
  ThreadSpooler(const ThreadSpooler&) = delete;
  ThreadSpooler& operator=(const ThreadSpooler&) = delete;

  [[nodiscard]] std::vector<SpoolContents> recover() override { return read_spools(folder_, disk_); }
  // Waits until all that was queued before is done.
  void flush();

 private:
  void push(SpoolJob job) override;
  void run();

  const std::filesystem::path folder_;
  Disk& disk_;
  SpoolWriter writer_;  // of the thread alone

  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable idle_;
  std::vector<SpoolJob> queue_;
  bool busy_ = false;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace fathom::worker
