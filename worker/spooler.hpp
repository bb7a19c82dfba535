// Where items are made durable before they are sent. What is queued while a round is written is written together with
// the next one: one fdatasync a round, however many attempts and items. An attempt's items are reported durable in the
// order they were queued.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/ids.hpp"
#include "common/result.hpp"
#include "worker/spool_writer.hpp"

namespace fathom::worker {

// Thread: methods from any thread. Owner: the job runner; destruction ends it.
class Spooler {
 public:
  using Durable = SpoolWriter::Durable;
  virtual ~Spooler() = default;

  // What an earlier worker left. Called before anything else.
  [[nodiscard]] virtual std::vector<SpoolContents> recover() = 0;
  // Durable() is called for it. Urgent: at once; else it may come with others, some milliseconds later.
  void append_item(const Fence& fence, std::uint64_t sequence, std::string payload, bool urgent = true) {
    SpoolJob job{fence, SpoolJob::Action::append, {}, sequence, urgent};
    job.records.push_back({SpoolKind::item, std::move(payload)});
    push(std::move(job));
  }
  // Metrics and log text: written with the next round, not waited for. A failure is logged by the next item's.
  void append(const Fence& fence, SpoolRecord record) {
    SpoolJob job{fence, SpoolJob::Action::append, {}, 0};
    job.records.push_back(std::move(record));
    push(std::move(job));
  }
  // Just these records are still needed of the attempt.
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

  [[nodiscard]] std::vector<SpoolContents> recover() override { return writer_.recover(); }
  // Waits until all that was queued before is done.
  void flush();

 private:
  void push(SpoolJob job) override;
  void run();

  SpoolWriter writer_;  // of the thread alone, but for recover()

  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable idle_;
  std::vector<SpoolJob> queue_;
  bool urgent_ = false;  // something in the queue is
  bool busy_ = false;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace fathom::worker
