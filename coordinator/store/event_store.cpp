#include "coordinator/store/event_store.hpp"

#include <sys/statvfs.h>

#include <chrono>
#include <mutex>
#include <random>

#include <fmt/format.h>

#include "common/crash_point.hpp"
#include "common/crc32c.hpp"
#include "common/files.hpp"
#include "coordinator/store/group_commit.hpp"
#include "coordinator/store/network_fs.hpp"
#include "coordinator/store/recent_events.hpp"

namespace fathom::store {
namespace {

constexpr std::int64_t kApplicationId = 0x4654484D;  // "FTHM"
constexpr std::int64_t kSchemaVersion = 1;
constexpr std::size_t kPage = 512;         // records read under one lock
constexpr std::size_t kRecent = 4U << 20;  // bytes of newest records that are kept in memory

constexpr std::chrono::milliseconds kRoomy{10};  // so long a disk with space is not asked again

constexpr const char* kSchema =
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE events(seq INTEGER PRIMARY KEY, crc INTEGER NOT NULL, bytes BLOB NOT NULL);";

// The checksum covers the position too, so that a record in the wrong place is noticed.
std::uint32_t checksum(const EventRecord& record) {
  char seq[8];
  for (int i = 0; i < 8; ++i) seq[i] = static_cast<char>(record.seq >> (8 * i));
  return crc32c(record.bytes, crc32c({seq, sizeof seq}));
}

std::string random_id() {
  std::random_device random;
  return fmt::format("{:08x}{:08x}{:08x}{:08x}", random(), random(), random(), random());
}

Error damaged(const std::filesystem::path& file, const std::string& what) {
  return {
      Errc::corrupt,
      fmt::format("event log {}: {}. Stop the coordinator and keep a copy of the folder; then \"fathom-coordinator "
                  "verify\" says what is damaged and \"fathom-coordinator repair\" goes back to an export or to the "
                  "last sound record (finished checkpoints stay in artifacts/)",
                  file.string(), what)};
}

class SqliteEventStore final : public EventStore {
 public:
  SqliteEventStore(Database database, std::filesystem::path file, std::string id, std::uint64_t last,
                   EventStoreHooks hooks, const SqliteEventStoreOptions& options)
      : file_(std::move(file)),
        id_(std::move(id)),
        reserve_(options.reserve_bytes),
        last_queued_(last),
        last_durable_(last),
        writing_(last),
        commit_(std::move(database),
                GroupCommitOptions{"event log " + file_.string(), options.retry, Millis{0}, std::move(hooks),
                                   [this] {
                                     last_durable_ = writing_;
                                     crash_point("log.durable");
                                   },
                                   options.later}) {}

  void append(std::vector<EventRecord> batch, Durable on_durable) override {
    append(std::move(batch), std::move(on_durable), true);
  }
  void append_quietly(std::vector<EventRecord> batch, Durable on_durable) override {
    append(std::move(batch), std::move(on_durable), false);
  }
  void commit_here(const Executor& executor) override { commit_.commit_here(executor); }
  Status load(std::uint64_t from, const std::function<Status(const EventRecord&)>& each) override;
  Status read(const std::vector<std::uint64_t>& seqs, const std::function<void(const EventRecord&)>& each) override;
  Status admit() override;
  [[nodiscard]] std::uint64_t last_durable() const override { return last_durable_; }
  [[nodiscard]] std::string id() const override { return id_; }

 private:
  void append(std::vector<EventRecord> batch, Durable on_durable, bool wake);
  Status write(Database& database, const std::vector<EventRecord>& batch);
  Status read_page(std::uint64_t from, std::vector<EventRecord>& page);

  std::filesystem::path file_;
  std::string id_;
  std::uint64_t reserve_;
  std::mutex append_mutex_;    // keeps seq and queue order the same
  std::uint64_t last_queued_;  // append_mutex_
  std::atomic<std::uint64_t> last_durable_;
  RecentEvents recent_{kRecent};
  std::atomic<std::chrono::steady_clock::time_point> roomy_{};  // when the disk was last seen to have space
  std::uint64_t writing_;                                       // whoever commits: last seq of the open transaction
  GroupCommit commit_;                                          // last: its thread uses what stands above
};

void SqliteEventStore::append(std::vector<EventRecord> batch, Durable on_durable, bool wake) {
  GroupItem item;
  item.done = std::move(on_durable);
  const std::lock_guard lock(append_mutex_);
  std::uint64_t next = last_queued_;
  for (const EventRecord& record : batch) {
    if (record.seq != ++next) {
      const Error error{Errc::internal, fmt::format("event {} was appended where {} belongs", record.seq, next)};
      item.write = [](Database&) { return success(); };
      item.done = [done = std::move(item.done), error](const Status&) {
        if (done) done(error);
      };
      return commit_.add(std::move(item));
    }
    item.bytes += record.bytes.size();
  }
  last_queued_ = next;
  item.events = batch.size();
  const auto kept = std::make_shared<const std::vector<EventRecord>>(std::move(batch));
  recent_.add(kept);
  item.write = [this, kept](Database& database) { return write(database, *kept); };
  wake ? commit_.add(std::move(item)) : commit_.add_quietly(std::move(item));
}

Status SqliteEventStore::write(Database& database, const std::vector<EventRecord>& batch) {
  FATHOM_ASSIGN(Statement * insert, database.cached("INSERT INTO events(seq, crc, bytes) VALUES(?, ?, ?)"));
  for (const EventRecord& record : batch) {
    insert->bind(1, static_cast<std::int64_t>(record.seq)).bind(2, std::int64_t{checksum(record)});
    FATHOM_TRY(insert->borrow_blob(3, record.bytes).run());
    writing_ = record.seq;
  }
  crash_point("log.written");
  return success();
}

Status SqliteEventStore::read_page(std::uint64_t from, std::vector<EventRecord>& page) {
  page.clear();
  return commit_.read([&](Database& database) -> Status {
    FATHOM_ASSIGN(Statement * select,
                  database.cached("SELECT seq, crc, bytes FROM events WHERE seq >= ? ORDER BY seq LIMIT ?"));
    select->bind_all(static_cast<std::int64_t>(from), static_cast<std::int64_t>(kPage));
    while (true) {
      FATHOM_ASSIGN(const bool row, select->step());
      if (!row) return success();
      EventRecord record{static_cast<std::uint64_t>(select->integer(0)), select->text(2)};
      if (checksum(record) != static_cast<std::uint32_t>(select->integer(1))) {
        select->reset();
        return Error{Errc::corrupt, fmt::format("record {} does not match its checksum", record.seq)};
      }
      page.push_back(std::move(record));
    }
  });
}

Status SqliteEventStore::load(std::uint64_t from, const std::function<Status(const EventRecord&)>& each) {
  // Read first: what is durable is in memory or was.
  const std::uint64_t last = last_durable_;
  const std::vector<EventBatch> recent = recent_.from(from);
  for (const EventBatch& batch : recent) {
    for (const EventRecord& record : *batch) {
      if (record.seq > last) return success();
      if (record.seq >= from) FATHOM_TRY(each(record));
    }
  }
  if (!recent.empty()) return success();
  std::uint64_t next = std::max<std::uint64_t>(from, 1);
  std::vector<EventRecord> page;
  do {
    const Status read = read_page(next, page);
    for (const EventRecord& record : page) {
      if (record.seq != next) return damaged(file_, fmt::format("record {} is missing", next));
      ++next;
      FATHOM_TRY(each(record));
    }
    if (!read) return read.error().code == Errc::corrupt ? damaged(file_, read.error().message) : read.error();
  } while (page.size() == kPage);
  return success();
}

Status SqliteEventStore::read(const std::vector<std::uint64_t>& seqs,
                              const std::function<void(const EventRecord&)>& each) {
  return commit_.read([&](Database& database) -> Status {
    FATHOM_ASSIGN(Statement * select, database.cached("SELECT crc, bytes FROM events WHERE seq = ?"));
    for (const std::uint64_t seq : seqs) {
      FATHOM_ASSIGN(const bool row, select->bind(1, static_cast<std::int64_t>(seq)).step());
      EventRecord record{seq, row ? select->text(1) : std::string()};
      const bool sound = row && checksum(record) == static_cast<std::uint32_t>(select->integer(0));
      select->reset();
      if (sound) each(record);
    }
    return success();
  });
}

Status SqliteEventStore::admit() {
  const auto now = std::chrono::steady_clock::now();
  if (!commit_.full() && now - roomy_.load() < kRoomy) return success();
  struct statvfs disk {};
  const bool known = statvfs(file_.parent_path().c_str(), &disk) == 0;
  const std::uint64_t free = known ? std::uint64_t{disk.f_bavail} * disk.f_frsize : reserve_;
  if (!commit_.full() && free >= reserve_) {
    roomy_ = now;
    return success();
  }
  return Error{
      Errc::resource_exhausted,
      fmt::format("the disk of {} is full ({} MiB free, {} MiB are kept for running jobs): free some space and "
                  "send this again",
                  file_.parent_path().string(), free >> 20, reserve_ >> 20)};
}

Result<std::string> store_id(Database& database) {
  FATHOM_ASSIGN(Statement insert, database.prepare("INSERT OR IGNORE INTO meta VALUES('id', ?)"));
  FATHOM_TRY(insert.bind(1, random_id()).run());
  FATHOM_ASSIGN(Statement select, database.prepare("SELECT value FROM meta WHERE key = 'id'"));
  FATHOM_ASSIGN(const bool row, select.step());
  return row ? select.text(0) : std::string{};
}

Error explain_open(const std::filesystem::path& file, const Error& error) {
  if (error.code == Errc::failed_precondition) {
    return {error.code, fmt::format("{} is in use: another coordinator runs on this state folder; stop it, or name "
                                    "another folder with --state",
                                    file.string())};
  }
  return error.code == Errc::corrupt ? damaged(file, error.message) : error;
}

}  // namespace

Result<std::unique_ptr<EventStore>> open_event_store(const std::filesystem::path& file, EventStoreHooks hooks,
                                                     const SqliteEventStoreOptions& options) {
  FATHOM_TRY(refuse_network_file_system(file.parent_path()));
  DatabaseOptions database_options;
  database_options.exclusive = true;
  database_options.vfs = options.vfs;
  auto opened = Database::open(file, database_options);
  if (!opened) return explain_open(file, opened.error());
  Database database = std::move(opened).value();
  if (const Status schema = prepare_schema(database, file, kApplicationId, kSchemaVersion, kSchema); !schema) {
    return schema.error().code == Errc::unsupported ? schema.error() : explain_open(file, schema.error());
  }
  FATHOM_ASSIGN(std::string id, store_id(database));
  auto last = database.integer("SELECT max(seq) FROM events");
  if (!last) return explain_open(file, last.error());
  FATHOM_TRY(sync_folder(file.parent_path().string()));
  return std::unique_ptr<EventStore>(std::make_unique<SqliteEventStore>(
      std::move(database), file, std::move(id), static_cast<std::uint64_t>(*last), std::move(hooks), options));
}

}  // namespace fathom::store
