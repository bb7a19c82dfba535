// Group commit: one thread writes everything that queued up during the last transaction in the next one, so that one
// fsync serves many appends, however slow the disk is. Shared by the event store and the metric store, which say what
// an item writes. Faults as described in event_store.hpp.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>

#include "coordinator/store/event_store.hpp"
#include "coordinator/store/sqlite.hpp"

namespace fathom::store {

struct GroupItem {
  // Writes its rows inside the open transaction; may run again when the transaction was rolled back.
  std::function<Status(Database&)> write;
  std::function<void(const Status&)> done;  // success: durable; else the store is broken
  std::size_t events = 0;
  std::size_t bytes = 0;
};

struct GroupCommitOptions {
  std::string name;    // for messages: "event log"
  Millis retry{1000};  // between attempts while the disk is full
  Millis linger{0};    // wait so long for company before a transaction
  EventStoreHooks hooks;
  // After a durable transaction, on the store's thread, before the items' callbacks.
  std::function<void()> committed;
  // Instead of a thread: asked for each transaction, never for a second one before the first has run. Such a store
  // writes nothing when it is destroyed.
  Later later;
};

// Thread: add(), commit_here(), full() and read() from any thread.
class GroupCommit {
 public:
  GroupCommit(Database database, GroupCommitOptions options);
  // Commits what is queued; what a full disk keeps out is answered as unavailable.
  ~GroupCommit();

  void add(GroupItem item) { add(std::move(item), true); }
  // For who calls commit_here() at once: the thread is not woken.
  void add_quietly(GroupItem item) { add(std::move(item), false); }
  // Writes what is queued on the calling thread, in one transaction, and gives the callbacks to `executor` instead of
  // the hooks'. Does nothing where a transaction runs already (what is queued comes in the next one), where the disk is
  // full, and without a thread (Later).
  void commit_here(const Executor& executor);
  [[nodiscard]] bool full() const { return full_.load(); }
  [[nodiscard]] std::size_t queued();
  // Runs `use` between transactions, so that it sees committed rows only. Keep it short: commits wait.
  Status read(const std::function<Status(Database&)>& use);

 private:
  void add(GroupItem item, bool wake);
  void run();
  void ask();
  bool wait_for_work();
  bool take_work();
  void leave();
  bool write_group(const Executor& executor);
  Status transaction();
  void finish(double seconds, const Executor& executor);
  void set_full(const Status& status);
  void fatal(const Error& error, const Executor& executor);
  static void answer(std::vector<GroupItem> items, const Status& status, const Executor& executor);

  GroupCommitOptions options_;
  std::mutex database_mutex_;
  Database database_;             // database_mutex_
  std::vector<GroupItem> group_;  // whoever writes: taken from queue_, not yet durable

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<GroupItem> queue_;  // mutex_
  bool called_ = false;          // mutex_: the thread is to look at queue_; whoever appends quietly writes it himself
  bool writing_ = false;         // mutex_: somebody has group_
  bool stopping_ = false;        // mutex_
  bool asked_ = false;           // of options_.later
  std::optional<Error> broken_;  // mutex_
  std::atomic<bool> full_ = false;
  std::thread thread_;  // last: starts when everything above exists
};

}  // namespace fathom::store
