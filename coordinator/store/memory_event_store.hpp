// An event store in memory for tests and the simulation: what is committed, when, and how it fails is the test's
// choice. Thread: load(), read() and last_durable() from any, as a read model's thread calls them; everything else from
// one. Callbacks run inside commit() (or inside append() with auto-commit) through the executor.
#pragma once

#include <deque>
#include <mutex>
#include <optional>

#include "coordinator/store/event_store.hpp"

namespace fathom::store {

class MemoryEventStore final : public EventStore {
 public:
  // With auto_commit every append is durable at once; else records wait for commit().
  explicit MemoryEventStore(EventStoreHooks hooks = {}, bool auto_commit = true);

  void append(std::vector<EventRecord> batch, Durable on_durable) override;
  Status load(std::uint64_t from, const std::function<Status(const EventRecord&)>& each) override;
  Status read(const std::vector<std::uint64_t>& seqs, const std::function<void(const EventRecord&)>& each) override;
  Status admit() override;
  [[nodiscard]] std::uint64_t last_durable() const override {
    const std::lock_guard lock(durable_mutex_);
    return durable_.size();
  }
  [[nodiscard]] std::string id() const override { return "memory"; }

  // Makes everything queued durable in one transaction, unless a fault is set.
  void commit();
  // Power loss: what is queued is gone and its callbacks never run; what is durable stays. Faults are cleared.
  void crash();

  void set_disk_full(bool full);                                      // while true commit() keeps everything queued
  void fail(Error error);                                             // the next commit() breaks the store for good
  [[nodiscard]] std::size_t queued() const { return queue_.size(); }  // appends
  [[nodiscard]] std::size_t transactions() const { return transactions_; }
  std::vector<EventRecord>& durable() { return durable_; }  // to bend bytes in a test, while nobody reads

 private:
  struct Append {
    std::vector<EventRecord> batch;
    Durable on_durable;
  };
  void answer(Append append, const Status& status);

  EventStoreHooks hooks_;
  bool auto_commit_;
  bool disk_full_ = false;
  std::uint64_t last_queued_ = 0;
  std::size_t transactions_ = 0;
  std::optional<Error> next_fault_;
  std::optional<Error> broken_;
  std::deque<Append> queue_;
  mutable std::mutex durable_mutex_;
  std::vector<EventRecord> durable_;  // durable_mutex_; durable_[i].seq == i + 1
};

}  // namespace fathom::store
