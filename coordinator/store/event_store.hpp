// The event log: the only truth of a coordinator. Everything else (state, read model) is made from it again.
//
// A record is `seq` (1, 2, 3, … without a gap, given by the core) and the serialized fathom.event.Event. The store
// knows nothing of what is inside. What append() took is either durable, or still queued, or the store is broken for
// good (below); it never forgets one record in the middle.
//
// Faults:
//  - disk full: nothing is dropped. The records stay queued and are tried again every `retry`; no callback runs
//    meanwhile, admit() refuses new work with resource_exhausted, and on_health tells the owner both edges.
//  - a failing write or fsync: what the disk holds is unknown, so the store stops: on_fatal once, every queued and
//  later
//    append is answered with the error. The process has to restart and read the log again.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/clock.hpp"
#include "common/result.hpp"

namespace fathom::store {

struct EventRecord {
  std::uint64_t seq = 0;  // position in the log, from 1
  std::string bytes;      // fathom.event.Event
};

// Runs a task, now or later, tasks of one caller in their order (a strand's post, for example).
using Executor = std::function<void(std::function<void()>)>;

// One committed transaction, for telemetry.
struct CommitStats {
  std::size_t events = 0;
  std::size_t bytes = 0;   // of the events
  double seconds = 0;      // of the commit with its fsync
  std::size_t queued = 0;  // appends that came meanwhile
};

struct EventStoreHooks {
  // Where on_durable callbacks run; empty: on the thread that commits.
  Executor executor;
  // These three run on the thread that commits, the store's own or one of commit_here(), and must not block.
  std::function<void(const Error&)> on_fatal;
  std::function<void(const Status&)> on_health;  // an error: disk full; success: space again
  std::function<void(const CommitStats&)> on_commit;
};

// Thread: every method from any thread.
class EventStore {
 public:
  // Success: durable. An error: the store is broken and will not take this or anything later.
  using Durable = std::function<void(const Status&)>;
  virtual ~EventStore() = default;

  // Queues records whose seq go on from the last queued one (else: internal error to on_durable, nothing queued).
  // Callbacks run in the order of the appends.
  virtual void append(std::vector<EventRecord> batch, Durable on_durable) = 0;
  // The same for who calls commit_here() at once, as soon as it may block: the store's thread is left asleep.
  virtual void append_quietly(std::vector<EventRecord> batch, Durable on_durable) {
    append(std::move(batch), std::move(on_durable));
  }
  // Makes what is queued durable on the calling thread, unless a transaction runs already: then it comes in the next
  // one. Callbacks go to `executor` instead of the hooks' one; other hooks run on the calling thread.
  virtual void commit_here(const Executor& /*executor*/) {}

  // Gives every durable record with seq >= from in order, until `each` fails or the log ends. corrupt: a record whose
  // checksum is wrong or a gap, after every record before it was given; the message says which and what to do.
  virtual Status load(std::uint64_t from, const std::function<Status(const EventRecord&)>& each) = 0;

  // Gives the durable records with these seq, in their order; those that are not there or damaged are left out.
  virtual Status read(const std::vector<std::uint64_t>& seqs, const std::function<void(const EventRecord&)>& each) = 0;

  // Whether new work (a submit) may be taken: resource_exhausted while the disk is full or nearly so, as it was at most
  // 10 ms ago.
  virtual Status admit() = 0;

  [[nodiscard]] virtual std::uint64_t last_durable() const = 0;  // 0: empty
  // Random, made with the log: a read model that was made from another log is told apart by it.
  [[nodiscard]] virtual std::string id() const = 0;
};

// Runs a task after a delay, once; given instead of a thread of the store's own, for the simulation.
using Later = std::function<void(Millis, std::function<void()>)>;

struct SqliteEventStoreOptions {
  std::uint64_t reserve_bytes = 64U << 20;  // admit() refuses below this much free space
  Millis retry{1000};                       // between attempts while the disk is full
  std::string vfs;                          // SQLite VFS, for tests; empty: the default
  Later later;                              // for tests; empty: a thread. With it the destructor commits nothing
};

// Opens or makes `file` (its folder must exist) and holds it alone until destroyed: failed_precondition if another
// process has it or it is on a network file system, unsupported if a newer Fathom made it, corrupt if it is no event
// log. The destructor commits what is queued.
Result<std::unique_ptr<EventStore>> open_event_store(const std::filesystem::path& file, EventStoreHooks hooks,
                                                     const SqliteEventStoreOptions& options = {});

}  // namespace fathom::store
