#include "coordinator/store/metric_store.hpp"

#include <algorithm>
#include <map>
#include <mutex>

#include <fmt/format.h>

#include "coordinator/store/group_commit.hpp"

namespace fathom::store {
namespace {

constexpr std::int64_t kApplicationId = 0x46544D54;  // "FTMT"
constexpr std::int64_t kSchemaVersion = 1;
// Batches that may wait while the disk is full; then workers are told to keep theirs.
constexpr std::size_t kMaxQueued = 20000;

// The primary key is also the order in which a curve is read: of one step the last row is the highest attempt.
constexpr const char* kSchema =
    "CREATE TABLE names(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);"
    "CREATE TABLE points(job INTEGER, name INTEGER, depth INTEGER, step INTEGER, generation INTEGER, attempt INTEGER,"
    " value REAL, wall INTEGER, PRIMARY KEY(job, name, depth, step, generation, attempt)) WITHOUT ROWID;"
    "CREATE TABLE progress(job INTEGER, generation INTEGER, attempt INTEGER, last INTEGER NOT NULL,"
    " PRIMARY KEY(job, generation, attempt)) WITHOUT ROWID;";

std::int64_t sql(std::uint64_t value) { return static_cast<std::int64_t>(value); }

Result<std::int64_t> name_id(Database& database, const std::string& name) {
  FATHOM_ASSIGN(Statement * insert, database.cached("INSERT OR IGNORE INTO names(name) VALUES(?)"));
  FATHOM_TRY(insert->bind(1, name).run());
  FATHOM_ASSIGN(Statement * select, database.cached("SELECT id FROM names WHERE name = ?"));
  FATHOM_ASSIGN(const bool row, select->bind(1, name).step());
  const std::int64_t id = row ? select->integer(0) : 0;
  select->reset();
  return id;
}

Status insert_points(Database& database, const MetricBatch& batch) {
  FATHOM_ASSIGN(Statement * insert, database.cached("INSERT OR IGNORE INTO points VALUES(?, ?, ?, ?, ?, ?, ?, ?)"));
  std::map<std::string, std::int64_t> names;
  for (const MetricPoint& point : batch.points) {
    auto known = names.find(point.name);
    if (known == names.end()) {
      FATHOM_ASSIGN(const std::int64_t id, name_id(database, point.name));
      known = names.emplace(point.name, id).first;
    }
    insert->bind_all(sql(batch.job.value()), known->second, std::int64_t{point.depth}, sql(point.step),
                     std::int64_t{batch.generation}, std::int64_t{batch.attempt}, point.value, point.wall_ms);
    FATHOM_TRY(insert->run());
  }
  return success();
}

// Moves the cumulative acknowledgement on, but never over a hole: the worker sends again from there.
Result<std::uint64_t> advance(Database& database, const MetricBatch& batch) {
  FATHOM_ASSIGN(Statement * select,
                database.cached("SELECT last FROM progress WHERE job = ? AND generation = ? AND attempt = ?"));
  select->bind_all(sql(batch.job.value()), std::int64_t{batch.generation}, std::int64_t{batch.attempt});
  FATHOM_ASSIGN(const bool row, select->step());
  std::uint64_t last = row ? static_cast<std::uint64_t>(select->integer(0)) : 0;
  select->reset();
  if (batch.points.empty() || batch.first_sequence > last + 1) return last;
  last = std::max(last, batch.first_sequence + batch.points.size() - 1);
  FATHOM_ASSIGN(Statement * insert, database.cached("INSERT OR REPLACE INTO progress VALUES(?, ?, ?, ?)"));
  insert->bind_all(sql(batch.job.value()), std::int64_t{batch.generation}, std::int64_t{batch.attempt}, sql(last));
  FATHOM_TRY(insert->run());
  return last;
}

class SqliteMetricStore final : public MetricStore {
 public:
  SqliteMetricStore(Database writer, Database reader, const std::string& name, MetricStoreHooks hooks)
      : hooks_(std::move(hooks)), reader_(std::move(reader)), commit_(std::move(writer), commit_options(name)) {}

  void append(MetricBatch batch, Acknowledge acknowledge) override;
  Result<std::vector<Series>> series(JobNumber job, const SeriesQuery& query) override;
  Result<std::vector<Curve>> curves(const std::vector<JobNumber>& jobs, const SeriesQuery& query) override;

 private:
  GroupCommitOptions commit_options(const std::string& name);
  Result<std::vector<Series>> read(JobNumber job, const SeriesQuery& query);
  void committed();

  MetricStoreHooks hooks_;
  std::mutex reader_mutex_;
  Database reader_;               // reader_mutex_; its own connection, so that a long curve does not hold up commits
  std::vector<JobNumber> fresh_;  // the store's thread: jobs of the open transaction
  GroupCommit commit_;            // last: its thread uses what stands above
};

GroupCommitOptions SqliteMetricStore::commit_options(const std::string& name) {
  GroupCommitOptions options;
  options.name = name;
  options.linger = Millis{20};  // curves are not urgent; fewer syncs leave the disk to the event log
  options.hooks.executor = hooks_.executor;
  options.hooks.on_fatal = hooks_.on_fatal;
  options.hooks.on_commit = hooks_.on_commit;
  options.committed = [this] { committed(); };
  return options;
}

void SqliteMetricStore::committed() {
  std::sort(fresh_.begin(), fresh_.end());
  fresh_.erase(std::unique(fresh_.begin(), fresh_.end()), fresh_.end());
  if (hooks_.on_points && !fresh_.empty()) hooks_.on_points(fresh_);
  fresh_.clear();
}

void SqliteMetricStore::append(MetricBatch batch, Acknowledge acknowledge) {
  if (commit_.full() && commit_.queued() >= kMaxQueued) {
    const Error full{Errc::resource_exhausted, "metric points cannot be stored: the disk is full; keep them"};
    auto answer = [acknowledge = std::move(acknowledge), full] {
      if (acknowledge) acknowledge(full);
    };
    return hooks_.executor ? hooks_.executor(std::move(answer)) : answer();
  }
  GroupItem item;
  item.events = batch.points.size();
  const auto last = std::make_shared<std::uint64_t>(0);
  item.write = [this, last, batch = std::move(batch)](Database& database) -> Status {
    FATHOM_TRY(insert_points(database, batch));
    FATHOM_ASSIGN(*last, advance(database, batch));
    fresh_.push_back(batch.job);
    return success();
  };
  item.done = [last, acknowledge = std::move(acknowledge)](const Status& status) {
    if (acknowledge) acknowledge(status ? Result<std::uint64_t>(*last) : Result<std::uint64_t>(status.error()));
  };
  commit_.add(std::move(item));
}

Result<std::vector<Series>> SqliteMetricStore::read(JobNumber job, const SeriesQuery& query) {
  std::string text =
      "SELECT n.name, p.depth, p.step, p.value, p.wall FROM points p JOIN names n ON n.id = p.name WHERE p.job = ?1";
  if (!query.name.empty()) text += " AND p.name = (SELECT id FROM names WHERE name = ?2)";
  if (query.depth) text += " AND p.depth = ?3";
  text += " ORDER BY p.name, p.depth, p.step, p.generation, p.attempt";
  FATHOM_ASSIGN(Statement select, reader_.prepare(text));
  select.bind(1, sql(job.value()));
  if (!query.name.empty()) select.bind(2, query.name);
  if (query.depth) select.bind(3, std::int64_t{*query.depth});
  std::vector<Series> all;
  while (true) {
    FATHOM_ASSIGN(const bool row, select.step());
    if (!row) return all;
    std::string name = select.text(0);
    const auto depth = static_cast<std::int32_t>(select.integer(1));
    if (all.empty() || all.back().name != name || all.back().depth != depth)
      all.push_back({std::move(name), depth, {}});
    std::vector<SeriesPoint>& points = all.back().points;
    const SeriesPoint point{static_cast<std::uint64_t>(select.integer(2)), select.real(3), select.integer(4)};
    // A later row of the same step comes from a higher attempt: it replaces.
    if (!points.empty() && points.back().step == point.step) points.pop_back();
    points.push_back(point);
  }
}

Result<std::vector<Series>> SqliteMetricStore::series(JobNumber job, const SeriesQuery& query) {
  const std::lock_guard lock(reader_mutex_);
  FATHOM_ASSIGN(std::vector<Series> all, read(job, query));
  std::sort(all.begin(), all.end(),
            [](const Series& a, const Series& b) { return std::tie(a.name, a.depth) < std::tie(b.name, b.depth); });
  for (Series& series : all) series.points = downsample(series.points, query.max_points);
  return all;
}

Result<std::vector<Curve>> SqliteMetricStore::curves(const std::vector<JobNumber>& jobs, const SeriesQuery& query) {
  std::vector<Curve> curves;
  for (const JobNumber job : jobs) {
    const std::lock_guard lock(reader_mutex_);
    FATHOM_ASSIGN(const std::vector<Series> all, read(job, query));
    if (!all.empty()) curves.push_back({job, downsample(all.front().points, query.max_points)});
  }
  return curves;
}

}  // namespace

Status forget_metrics(const std::filesystem::path& file, JobNumber first) {
  if (!std::filesystem::exists(file)) return success();
  FATHOM_ASSIGN(Database database, Database::open(file, {}));
  FATHOM_TRY(prepare_schema(database, file, kApplicationId, kSchemaVersion, kSchema));
  for (const char* table : {"points", "progress"}) {
    FATHOM_ASSIGN(Statement remove, database.prepare(fmt::format("DELETE FROM {} WHERE job >= ?", table)));
    FATHOM_TRY(remove.bind(1, sql(first.value())).run());
  }
  return success();
}

std::vector<SeriesPoint> downsample(const std::vector<SeriesPoint>& points, std::size_t max) {
  if (max == 0 || points.size() <= std::max<std::size_t>(max, 4)) return points;
  const std::size_t inner = points.size() - 2;
  const std::size_t shares = (std::max<std::size_t>(max, 4) - 2) / 2;
  // NaN compares false with everything; as "smallest" it would hide the rest of its share, so it counts as infinite.
  const auto smaller = [](const SeriesPoint& a, const SeriesPoint& b) {
    return a.value < b.value || (b.value != b.value && a.value == a.value);
  };
  std::vector<SeriesPoint> kept{points.front()};
  for (std::size_t share = 0; share < shares; ++share) {
    const auto begin = points.begin() + 1 + static_cast<std::ptrdiff_t>(inner * share / shares);
    const auto end = points.begin() + 1 + static_cast<std::ptrdiff_t>(inner * (share + 1) / shares);
    auto [low, high] = std::minmax_element(begin, end, smaller);
    if (high < low) std::swap(low, high);
    kept.push_back(*low);
    if (high != low) kept.push_back(*high);
  }
  kept.push_back(points.back());
  return kept;
}

Result<std::unique_ptr<MetricStore>> open_metric_store(const std::filesystem::path& file, MetricStoreHooks hooks) {
  FATHOM_ASSIGN(Database writer, Database::open(file, {}));
  FATHOM_TRY(prepare_schema(writer, file, kApplicationId, kSchemaVersion, kSchema));
  DatabaseOptions read_only;
  read_only.read_only = true;
  FATHOM_ASSIGN(Database reader, Database::open(file, read_only));
  const std::string name = "metrics " + file.string();
  return std::unique_ptr<MetricStore>(
      std::make_unique<SqliteMetricStore>(std::move(writer), std::move(reader), name, std::move(hooks)));
}

}  // namespace fathom::store
