#include "coordinator/store/memory_event_store.hpp"

#include <memory>

namespace fathom::store {

MemoryEventStore::MemoryEventStore(EventStoreHooks hooks, bool auto_commit)
    : hooks_(std::move(hooks)), auto_commit_(auto_commit) {}

void MemoryEventStore::append(std::vector<EventRecord> batch, Durable on_durable) {
  if (broken_) return answer({{}, std::move(on_durable)}, *broken_);
  std::uint64_t next = last_queued_;
  for (const EventRecord& record : batch) {
    if (record.seq != ++next) {
      const Error error{Errc::internal, "event " + std::to_string(record.seq) + " was appended where " +
                                            std::to_string(next) + " belongs"};
      return answer({{}, std::move(on_durable)}, error);
    }
  }
  last_queued_ = next;
  queue_.push_back({std::move(batch), std::move(on_durable)});
  if (auto_commit_) commit();
}

void MemoryEventStore::commit() {
  if (queue_.empty() || disk_full_ || broken_) return;
  std::deque<Append> group = std::exchange(queue_, {});
  if (next_fault_) {
    broken_ = std::exchange(next_fault_, std::nullopt);
    if (hooks_.on_fatal) hooks_.on_fatal(*broken_);
    for (Append& append : group) answer(std::move(append), *broken_);
    return;
  }
  ++transactions_;
  CommitStats stats;
  {
    const std::lock_guard lock(durable_mutex_);
    for (const Append& append : group) {
      stats.events += append.batch.size();
      durable_.insert(durable_.end(), append.batch.begin(), append.batch.end());
    }
  }
  if (hooks_.on_commit) hooks_.on_commit(stats);
  for (Append& append : group) answer(std::move(append), success());
}

void MemoryEventStore::answer(Append append, const Status& status) {
  if (!append.on_durable) return;
  if (!hooks_.executor) return append.on_durable(status);
  hooks_.executor([done = std::move(append.on_durable), status] { done(status); });
}

Status MemoryEventStore::load(std::uint64_t from, const std::function<Status(const EventRecord&)>& each) {
  // By index, and each one copied: `each`, or the other thread, may append, which moves the records.
  for (std::size_t i = from > 0 ? from - 1 : 0;; ++i) {
    std::unique_lock lock(durable_mutex_);
    if (i >= durable_.size()) return success();
    const EventRecord record = durable_[i];
    lock.unlock();
    FATHOM_TRY(each(record));
  }
}

Status MemoryEventStore::read(const std::vector<std::uint64_t>& seqs,
                              const std::function<void(const EventRecord&)>& each) {
  const std::lock_guard lock(durable_mutex_);
  for (const std::uint64_t seq : seqs) {
    if (seq >= 1 && seq <= durable_.size()) each(durable_[seq - 1]);
  }
  return success();
}

Status MemoryEventStore::admit() {
  if (!disk_full_) return success();
  return Error{Errc::resource_exhausted, "the disk is full: free some space and send this again"};
}

void MemoryEventStore::crash() {
  queue_.clear();
  last_queued_ = last_durable();
  disk_full_ = false;
  next_fault_.reset();
  broken_.reset();
}

void MemoryEventStore::set_disk_full(bool full) {
  if (std::exchange(disk_full_, full) == full) return;
  if (hooks_.on_health) hooks_.on_health(full ? Status(Error{Errc::resource_exhausted, "disk full"}) : success());
  if (!full && auto_commit_) commit();
}

void MemoryEventStore::fail(Error error) { next_fault_ = std::move(error); }

}  // namespace fathom::store
