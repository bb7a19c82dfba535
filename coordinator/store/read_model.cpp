#include "coordinator/store/read_model.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include <google/protobuf/arena.h>

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <nlohmann/json.hpp>

#include "common/crash_point.hpp"
#include "common/thread_name.hpp"
#include "coordinator/core/event.pb.h"
#include "coordinator/store/job_columns.hpp"
#include "coordinator/store/projector.hpp"
#include "coordinator/store/queries.hpp"
#include "coordinator/store/read_file.hpp"
#include "sweeps/plan.hpp"

namespace fathom::store {
namespace {

constexpr std::size_t kBatch = 16384;  // events of one transaction: what a reader sees at once
// Between batches while much happens and nobody waits: a job's events then mostly share one. Between small ones less,
// and nothing for a few in a row.
constexpr std::size_t kBusy = 32;
constexpr Millis kPace{200}, kShortPace{20}, kInARow{200};
constexpr std::size_t kEventRoom = 16U << 10;  // bytes: most events fit
constexpr std::size_t kReaders = 3;            // connections for queries
constexpr Millis kRetry{1000};                 // while the disk is full
constexpr Millis kPatience{5000};              // for what somebody was told of
constexpr Millis kLookedAt{60'000};            // after its last page a sweep's columns are let go

class SqliteReadModel final : public ReadModel {
 public:
  SqliteReadModel(std::filesystem::path file, Database writer, std::vector<Database> readers, EventStore& events,
                  std::uint64_t applied, PlanOf plans)
      : file_(std::move(file)),
        writer_(std::move(writer)),
        plans_(std::move(plans)),
        projector_(writer_, plans_),
        events_(events),
        readers_(std::move(readers)),
        applied_(applied),
        target_(events.last_durable()),
        thread_([this] {
          name_thread("read model");
          run();
        }) {}
  ~SqliteReadModel() override;

  void notify(std::uint64_t seq) override;
  [[nodiscard]] std::uint64_t applied() const override { return applied_; }
  void expect(std::uint64_t seq) override;
  Status wait_for(std::uint64_t seq, Millis timeout) override;
  void subscribe(std::function<void(const Changes&)> changed) override;

  Result<nlohmann::json> sweeps(const Page& page) override {
    if (expected_ > applied_) (void)wait_for(expected_, kPatience);
    return ask<nlohmann::json>([&](Database& db) { return queries::sweeps(db, page); });
  }
  Result<nlohmann::json> sweep(const std::string& id) override {
    return ask<nlohmann::json>([&](Database& db) -> Result<nlohmann::json> {
      FATHOM_ASSIGN(const queries::SweepKey key, queries::find_sweep(db, id));
      return queries::sweep(db, key.number);
    });
  }
  Result<std::string> sweep_yaml(const std::string& id) override { return sweep_text(id, false); }
  Result<nlohmann::json> sweep_resolved(const std::string& id) override {
    FATHOM_ASSIGN(const std::string text, sweep_text(id, true));
    return queries::parse_or(text, "{}");
  }
  Result<nlohmann::json> jobs(const std::string& id, const JobsQuery& query) override {
    return ask<nlohmann::json>([&](Database& db) { return queries::jobs(db, columns_, id, query); });
  }
  Result<nlohmann::json> job(const std::string& id, const std::string& job) override {
    FATHOM_ASSIGN(queries::JobDetail detail, ask<queries::JobDetail>([&](Database& db) -> Result<queries::JobDetail> {
                    FATHOM_ASSIGN(const std::int64_t number, queries::find_job(db, id, job));
                    return queries::job_detail(db, log_, number);
                  }));
    FATHOM_TRY(add_result(detail));
    if (!detail.job["settings"].is_null()) return std::move(detail.job);
    FATHOM_ASSIGN(detail.job["settings"], planned_settings(id, detail.job["number"].get<std::int64_t>()));
    return std::move(detail.job);
  }
  Result<nlohmann::json> job_events(const std::string& id, const std::string& job, const Page& page) override {
    return ask<nlohmann::json>([&](Database& db) -> Result<nlohmann::json> {
      FATHOM_ASSIGN(const std::int64_t number, queries::find_job(db, id, job));
      return queries::job_events(db, log_, number, page);
    });
  }
  Result<nlohmann::json> results(const std::string& id, const Page& page) override {
    return ask<nlohmann::json>([&](Database& db) { return queries::results(db, log_, id, page); });
  }
  Result<nlohmann::json> workers() override {
    return ask<nlohmann::json>([](Database& db) { return queries::workers(db); });
  }
  Result<JobNumber> trained_job(const std::string& id, const std::string& job) override {
    FATHOM_ASSIGN(const std::int64_t number,
                  ask<std::int64_t>([&](Database& db) { return queries::trained_job(db, id, job); }));
    return JobNumber(static_cast<std::uint64_t>(number));
  }
  Result<JobNumber> job_number(const std::string& id, const std::string& job) override {
    FATHOM_ASSIGN(const std::int64_t number,
                  ask<std::int64_t>([&](Database& db) { return queries::find_job(db, id, job); }));
    return JobNumber(static_cast<std::uint64_t>(number));
  }
  Result<nlohmann::json> job_by_number(JobNumber number) override {
    return ask<nlohmann::json>(
        [&](Database& db) { return queries::job_by_number(db, static_cast<std::int64_t>(number.value())); });
  }
  Result<std::vector<CurveJob>> curve_jobs(const std::string& id, const JobsQuery& filter,
                                           std::uint32_t limit) override {
    return ask<std::vector<CurveJob>>([&](Database& db) { return queries::curve_jobs(db, id, filter, limit); });
  }
  Result<nlohmann::json> changes_after(std::uint64_t seq, const std::string& id, std::uint32_t limit) override {
    return ask<nlohmann::json>([&](Database& db) { return queries::changes_after(db, seq, id, limit); });
  }

 private:
  // What is not there is looked for again when what is expected has come.
  template <class T, class Use>
  Result<T> ask(const Use& use);
  // Borrows a connection, in one read transaction.
  template <class T, class Use>
  Result<T> ask_once(const Use& use);
  Result<queries::SweepKey> find(const std::string& id) {
    return ask<queries::SweepKey>([&](Database& db) { return queries::find_sweep(db, id); });
  }
  Result<std::string> sweep_text(const std::string& id, bool resolved) {
    FATHOM_ASSIGN(const queries::SweepKey key, find(id));
    return queries::submitted_text(log_, key.submitted, resolved);
  }
  Status add_result(queries::JobDetail& detail);
  Result<nlohmann::json> planned_settings(const std::string& sweep, std::int64_t number);
  void run();
  bool wait_for_work(std::chrono::steady_clock::time_point not_before);
  Result<std::vector<EventRecord>> next_batch();
  Status apply(const std::vector<EventRecord>& batch, Changes& changes);
  Status apply_in_transaction(const std::vector<EventRecord>& batch, Changes& changes);
  bool pause(Millis time);
  void give_up(const Error& error);

  std::filesystem::path file_;
  Database writer_;  // the thread's
  const PlanOf plans_;
  Projector projector_;  // the thread's
  EventStore& events_;
  const queries::ReadEvents log_ = queries::from_log(events_);
  std::function<void(const Changes&)> changed_;  // mutex_

  std::mutex readers_mutex_;
  std::condition_variable reader_free_;
  std::vector<Database> readers_;  // readers_mutex_: the idle ones
  queries::JobColumns columns_;

  std::mutex mutex_;
  std::condition_variable wake_;   // the thread: something to do
  std::condition_variable moved_;  // waiters: applied_ or broken_ changed
  std::atomic<std::uint64_t> applied_;
  std::atomic<std::uint64_t> expected_ = 0;
  std::uint64_t target_;         // mutex_
  std::uint64_t urgent_ = 0;     // mutex_: somebody waits for this event
  bool idle_ = false;            // mutex_: waits for something to do, and not only for the time
  bool stopping_ = false;        // mutex_
  std::optional<Error> broken_;  // mutex_
  std::thread thread_;           // last: starts when everything above exists
};

SqliteReadModel::~SqliteReadModel() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  moved_.notify_all();
  thread_.join();
}

void SqliteReadModel::notify(std::uint64_t seq) {
  {
    const std::lock_guard lock(mutex_);
    target_ = std::max(target_, seq);
    // While it paces itself, every commit would wake it for nothing.
    if (!idle_ && target_ < applied_ + kBatch) return;
  }
  wake_.notify_one();
}

void SqliteReadModel::expect(std::uint64_t seq) {
  std::uint64_t known = expected_;
  while (known < seq && !expected_.compare_exchange_weak(known, seq)) {
  }
}

Status SqliteReadModel::wait_for(std::uint64_t seq, Millis timeout) {
  std::unique_lock lock(mutex_);
  if (seq > urgent_) {
    urgent_ = seq;
    wake_.notify_one();
  }
  const bool done = moved_.wait_for(lock, timeout, [&] { return applied_ >= seq || broken_ || stopping_; });
  if (applied_ >= seq) return success();
  if (broken_) return *broken_;
  return Error{Errc::unavailable, done ? std::string("the coordinator is stopping")
                                       : fmt::format("the tables are behind: at event {} of {}", applied_.load(), seq)};
}

void SqliteReadModel::subscribe(std::function<void(const Changes&)> changed) {
  const std::lock_guard lock(mutex_);
  changed_ = std::move(changed);
}

template <class T, class Use>
Result<T> SqliteReadModel::ask(const Use& use) {
  const std::uint64_t seen = applied_;
  Result<T> answer = ask_once<T>(use);
  if (answer || answer.error().code != Errc::not_found || expected_ <= seen) return answer;
  (void)wait_for(expected_, kPatience);
  return ask_once<T>(use);
}

template <class T, class Use>
Result<T> SqliteReadModel::ask_once(const Use& use) {
  Database database;
  {
    std::unique_lock lock(readers_mutex_);
    reader_free_.wait(lock, [this] { return !readers_.empty(); });
    database = std::move(readers_.back());
    readers_.pop_back();
  }
  Result<T> answer = Error{};
  try {
    const Status begun = database.run("BEGIN");
    answer = begun ? use(database) : Result<T>(begun.error());
  } catch (const std::exception& error) {
    answer = Error{Errc::internal, fmt::format("reading {}: {}", file_.string(), error.what())};
  }
  if (database.in_transaction()) {
    if (const Status ended = database.run("COMMIT"); !ended) spdlog::warn("{}", ended.error().message);
  }
  {
    const std::lock_guard lock(readers_mutex_);
    readers_.push_back(std::move(database));
  }
  reader_free_.notify_one();
  return answer;
}

Status SqliteReadModel::add_result(queries::JobDetail& detail) {
  detail.job["result"] = nullptr;
  detail.job["files"] = nlohmann::json::array();
  if (detail.result_seq == 0) return success();
  return log_({detail.result_seq}, [&](const event::Event& event) { show_result(event, detail.job); });
}

// No connection is held while the plan is asked for.
Result<nlohmann::json> SqliteReadModel::planned_settings(const std::string& sweep, std::int64_t number) {
  FATHOM_ASSIGN(const queries::SweepKey key, find(sweep));
  std::shared_ptr<const sweeps::Plan> plan = plans_ ? plans_(key.submitted) : nullptr;
  if (!plan) {
    FATHOM_ASSIGN(const std::string resolved, queries::submitted_text(log_, key.submitted, true));
    FATHOM_ASSIGN(plan, expand_text(sweep, resolved));
  }
  return plan->jobs.at(static_cast<std::size_t>(number - key.first_job)).settings.whole();
}

// False: stopping.
bool SqliteReadModel::pause(Millis time) {
  std::unique_lock lock(mutex_);
  return !wake_.wait_for(lock, time, [this] { return stopping_; });
}

void SqliteReadModel::give_up(const Error& error) {
  spdlog::critical(
      "read model {}: {}; lists stand still. Stop the coordinator, remove the file and start again: it is made "
      "anew from the log",
      file_.string(), error.message);
  {
    const std::lock_guard lock(mutex_);
    broken_ = error;
  }
  moved_.notify_all();
}

// False: stopping. Else there is something to apply.
bool SqliteReadModel::wait_for_work(std::chrono::steady_clock::time_point not_before) {
  std::unique_lock lock(mutex_);
  idle_ = true;
  wake_.wait(lock, [this] { return stopping_ || target_ > applied_; });
  idle_ = false;
  wake_.wait_until(lock, not_before,
                   [this] { return stopping_ || urgent_ > applied_ || target_ >= applied_ + kBatch; });
  return !stopping_;
}

void SqliteReadModel::run() {
  auto not_before = std::chrono::steady_clock::now(), paced = not_before - kInARow;
  while (wait_for_work(not_before)) {
    const auto begun = std::chrono::steady_clock::now();
    auto batch = next_batch();
    if (!batch) return give_up(batch.error());
    paced = std::max(paced, begun - kInARow) + kShortPace;
    not_before = batch->size() < kBusy ? paced : begun + kPace;
    columns_.forget(begun - kLookedAt);
    if (batch->empty()) return give_up({Errc::internal, "the log ends before what was said to be durable"});
    Changes changes;
    Status applied = apply(*batch, changes);
    while (!applied && applied.error().code == Errc::resource_exhausted) {
      spdlog::warn("read model: {}; trying again", applied.error().message);
      if (!pause(kRetry)) return;
      changes = {};
      applied = apply(*batch, changes);
    }
    if (!applied) return give_up(applied.error());
    std::function<void(const Changes&)> changed;
    {
      const std::lock_guard lock(mutex_);
      applied_ = batch->back().seq;
      changed = changed_;
    }
    moved_.notify_all();
    if (changed) changed(changes);
  }
}

Result<std::vector<EventRecord>> SqliteReadModel::next_batch() {
  std::vector<EventRecord> batch;
  const Status loaded = events_.load(applied_ + 1, [&](const EventRecord& record) {
    batch.push_back(record);
    return batch.size() < kBatch ? success() : Status(Error{Errc::failed_precondition, "enough"});
  });
  if (!loaded && batch.size() < kBatch) return loaded.error();
  return batch;
}

Status SqliteReadModel::apply(const std::vector<EventRecord>& batch, Changes& changes) {
  FATHOM_TRY(writer_.run("BEGIN IMMEDIATE"));
  Status status = Error{};
  try {
    status = apply_in_transaction(batch, changes);
  } catch (const std::exception& error) {
    status = Error{Errc::internal, error.what()};
  }
  crash_point("view.written");
  if (status) status = writer_.run("COMMIT");
  if (!status) projector_.reset();
  if (!status && writer_.in_transaction()) FATHOM_TRY(writer_.execute("ROLLBACK"));
  std::sort(changes.jobs.begin(), changes.jobs.end());
  changes.jobs.erase(std::unique(changes.jobs.begin(), changes.jobs.end()), changes.jobs.end());
  return status;
}

Status SqliteReadModel::apply_in_transaction(const std::vector<EventRecord>& batch, Changes& changes) {
  // What an event is made of goes with it, and leaves its room to the next one.
  std::vector<char> room(kEventRoom);
  google::protobuf::ArenaOptions options;
  options.initial_block = room.data();
  options.initial_block_size = room.size();
  google::protobuf::Arena arena(options);
  for (const EventRecord& record : batch) {
    arena.Reset();
    auto* event = google::protobuf::Arena::CreateMessage<event::Event>(&arena);
    if (!event->ParseFromString(record.bytes)) {
      return Error{Errc::corrupt, fmt::format("event {} of the log cannot be read", record.seq)};
    }
    // The position in the log counts, whatever the bytes say.
    event->set_seq(record.seq);
    FATHOM_TRY(projector_.apply(*event, changes));
  }
  FATHOM_TRY(projector_.finish());
  return writer_.run("INSERT OR REPLACE INTO meta VALUES('applied', ?)", std::to_string(batch.back().seq));
}

}  // namespace

Result<std::unique_ptr<ReadModel>> open_read_model(const std::filesystem::path& file, EventStore& events,
                                                   PlanOf plans) {
  Database writer;
  FATHOM_ASSIGN(const std::uint64_t applied, open_or_rebuild(file, events, writer));
  std::vector<Database> readers;
  DatabaseOptions read_only;
  read_only.read_only = true;
  while (readers.size() < kReaders) {
    FATHOM_ASSIGN(Database reader, Database::open(file, read_only));
    readers.push_back(std::move(reader));
  }
  return std::unique_ptr<ReadModel>(std::make_unique<SqliteReadModel>(file, std::move(writer), std::move(readers),
                                                                      events, applied, std::move(plans)));
}

}  // namespace fathom::store
