#include <algorithm>
#include <chrono>
#include <map>
#include <set>
#include <sstream>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "coordinator/store/job_columns.hpp"
#include "coordinator/store/queries.hpp"

namespace fathom::store::queries {
namespace {

// Columns by the names of the job object. Only these reach an ORDER BY.
const std::map<std::string, std::string>& sort_columns() {
  static const std::map<std::string, std::string> columns = {
      {"number", "j.number"}, {"id", "j.id"},           {"stage", "j.stage"},         {"kind", "j.kind"},
      {"task", "j.task"},     {"drop", "j.drop_label"}, {"set", "j.set_label"},       {"keep", "j.keep"},
      {"seed", "j.seed"},     {"state", "j.state"},     {"attempt", "j.attempt"},     {"attempts", "j.attempts"},
      {"epoch", "j.epoch"},   {"step", "j.step"},       {"objective", "j.objective"}, {"worker", "j.worker"},
      {"device", "j.device"}, {"started", "j.started"}, {"ended", "j.ended"}};
  return columns;
}

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> parts;
  std::istringstream stream(list);
  for (std::string part; std::getline(stream, part, ',');) {
    if (!part.empty()) parts.push_back(part);
  }
  return parts;
}

// Of these only few jobs are at a time, or none: they have an index.
bool is_rare(const std::string& state) {
  static const std::set<std::string> rare = {"leased", "running",  "stopping", "backoff",   "failed",
                                             "paused", "diverged", "stopped",  "cancelled", "skipped"};
  return rare.contains(state);
}

// Of a drop, the kind alone stands for every n.
bool is_drop_kind(const std::string& column, const std::string& value) {
  return column == "j.drop_label" && (value == "specialized" || value == "robust");
}

struct Order {
  std::string column;  // SQL; empty: the job's number
  [[nodiscard]] bool by_number() const { return column.empty(); }
  // ORDER BY …: jobs without a value come last either way; the job's number makes the order total.
  [[nodiscard]] std::string sql(bool descending) const {
    const char* direction = descending ? "DESC" : "ASC";
    return by_number() ? fmt::format(" ORDER BY j.number {}", direction)
                       : fmt::format(" ORDER BY {} {} NULLS LAST, j.number", column, direction);
  }
};

void one_of(Filter& filter, const std::string& column, const std::string& list) {
  std::vector<std::string> conditions;
  for (const std::string& value : split(list)) {
    const bool kind = is_drop_kind(column, value);
    conditions.push_back(column + (kind ? " LIKE ?" : " = ?"));
    filter.values.emplace_back(kind ? value + "-%" : value);
  }
  if (!conditions.empty()) filter.also(fmt::format("({})", fmt::join(conditions, " OR ")));
}

// Whether SQLite would look at all rows of a large sweep: JobColumns answers then. Texts are searched in SQL.
bool reads_every_row(const SweepKey& sweep, const JobsQuery& query, const Order& order) {
  constexpr std::int64_t kLarge = 1000;
  if (sweep.jobs < kLarge || !query.q.empty()) return false;
  const auto states = split(query.state);
  if (!states.empty() && std::ranges::all_of(states, is_rare)) return false;
  return !order.by_number() || !(states.empty() && query.stage.empty() && query.task.empty() && query.drop.empty());
}

std::vector<JobColumns::OneOf> conditions_of(const JobsQuery& query) {
  std::vector<JobColumns::OneOf> out;
  for (const auto& [column, list] : {std::pair("j.state", &query.state), std::pair("j.stage", &query.stage),
                                     std::pair("j.task", &query.task), std::pair("j.drop_label", &query.drop)}) {
    JobColumns::OneOf one{column, {}, {}};
    for (const std::string& value : split(*list))
      is_drop_kind(column, value) ? one.prefixes.push_back(value + "-") : one.values.push_back(value);
    if (!one.values.empty() || !one.prefixes.empty()) out.push_back(std::move(one));
  }
  return out;
}

std::string like_pattern(const std::string& text) {
  std::string pattern = "%";
  for (const char c : text.substr(0, 200)) {
    if (c == '%' || c == '_' || c == '\\') pattern += '\\';
    pattern += c;
  }
  return pattern + "%";
}

Result<Order> order_of(const JobsQuery& query) {
  const auto known = sort_columns().find(query.sort);
  if (known != sort_columns().end()) return Order{query.sort == "number" ? "" : known->second};
  // A sampled parameter, by its full name.
  const bool plain = !query.sort.empty() && query.sort.size() < 64 &&
                     query.sort.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_.") == std::string::npos;
  if (plain && query.sort.find('.') != std::string::npos) {
    return Order{fmt::format("json_extract(j.parameters, '$.\"{}\"')", query.sort)};
  }
  std::vector<std::string> names;
  for (const auto& [name, column] : sort_columns()) names.push_back(name);
  return Error{Errc::invalid_argument,
               fmt::format("jobs cannot be sorted by \"{}\": expected one of {}, or a parameter such as "
                           "train.lr",
                           query.sort.substr(0, 60), fmt::join(names, ", "))};
}

// How many jobs the filter lets through. By state and stage they are counted already.
Result<std::int64_t> total_of(Database& database, const SweepKey& sweep, const JobsQuery& query, const Filter& filter) {
  if (query.state.empty() && query.stage.empty() && query.task.empty() && query.drop.empty() && query.q.empty())
    return sweep.jobs;
  std::string sql = fmt::format("SELECT count(*) FROM {} WHERE {}", filter.from, filter.where);
  Filter counted = filter;
  if (query.task.empty() && query.drop.empty() && query.q.empty()) {
    counted = Filter{};
    counted.also("j.sweep = ?");
    counted.values.emplace_back(sweep.number);
    one_of(counted, "j.state", query.state);
    one_of(counted, "j.stage", query.stage);
    sql = "SELECT sum(n) FROM counts j WHERE " + counted.where;
  }
  FATHOM_ASSIGN(Statement count, database.prepare(sql));
  counted.bind(count);
  FATHOM_TRY(count.step());
  return count.integer(0);
}

// The jobs of a page, and one more where there is one. Only what is compared is read of all others.
Result<std::vector<std::int64_t>> numbers_of(Database& database, const Filter& filter, const std::string& rest) {
  FATHOM_ASSIGN(Statement select,
                database.prepare(fmt::format("SELECT j.number FROM {} WHERE {}{}", filter.from, filter.where, rest)));
  filter.bind(select);
  std::vector<std::int64_t> numbers;
  while (true) {
    FATHOM_ASSIGN(const bool row, select.step());
    if (!row) return numbers;
    numbers.push_back(select.integer(0));
  }
}

// "mr standard lr=0.001 seed 1": what tells a curve from its neighbours.
std::string label_of(const nlohmann::json& job) {
  std::string label = fmt::format("{} {}", job["task"].get<std::string>(), job["drop"].get<std::string>());
  if (const auto set = job["set"].get<std::string>(); !set.empty()) label += " " + set;
  for (const auto& [name, value] : job["parameters"].items()) {
    label += fmt::format(" {}={}", name.substr(name.rfind('.') + 1),
                         value.is_string() ? value.get<std::string>() : value.dump());
  }
  return label + fmt::format(" seed {}", job["seed"].get<std::int64_t>());
}

}  // namespace

Result<Filter> filter_jobs(const SweepKey& sweep, const JobsQuery& query) {
  Filter filter;
  filter.also("j.number >= ? AND j.number < ?");
  filter.values.emplace_back(sweep.first_job);
  filter.values.emplace_back(sweep.first_job + sweep.jobs);
  const auto states = split(query.state);
  if (!states.empty() && std::ranges::all_of(states, is_rare)) {
    filter.from = "jobs j INDEXED BY jobs_rare";
    filter.also("j.state <> 'blocked' AND j.state <> 'ready' AND j.state <> 'succeeded' AND j.sweep = ?");
    filter.values.emplace_back(sweep.number);
  }
  one_of(filter, "j.state", query.state);
  one_of(filter, "j.stage", query.stage);
  one_of(filter, "j.task", query.task);
  one_of(filter, "j.drop_label", query.drop);
  if (filter.values.size() > 200) return Error{Errc::invalid_argument, "too many values in a filter"};
  if (!query.q.empty()) {
    filter.also(
        "(j.id LIKE ? ESCAPE '\\' OR j.task LIKE ? ESCAPE '\\' OR j.drop_label LIKE ? ESCAPE '\\' OR "
        "j.set_label LIKE ? ESCAPE '\\' OR j.parameters LIKE ? ESCAPE '\\')");
    for (int i = 0; i < 5; ++i) filter.values.emplace_back(like_pattern(query.q));
  }
  return filter;
}

Result<nlohmann::json> jobs(Database& database, JobColumns& columns, const std::string& sweep, const JobsQuery& query) {
  FATHOM_ASSIGN(const SweepKey key, find_sweep(database, sweep));
  FATHOM_ASSIGN(Filter filter, filter_jobs(key, query));
  FATHOM_ASSIGN(const Order order, order_of(query));
  const std::int64_t limit = clamp_limit(query.page.limit);
  // By number a page goes on after a job, whatever changed meanwhile; by another column it goes on at a place.
  std::int64_t from = 0;
  if (!query.page.cursor.empty()) {
    FATHOM_ASSIGN(const auto cursor, read_cursor(query.page.cursor, order.by_number() ? 'n' : 'o', 1));
    from = cursor[0];
  }
  JobColumns::Answer found;
  if (reads_every_row(key, query, order)) {
    JobColumns::Question question{conditions_of(query), order.column, query.descending, 0, 0, limit + 1};
    (order.by_number() ? question.after : question.offset) = from;
    FATHOM_ASSIGN(found, columns.ask(database, key, question, std::chrono::steady_clock::now()));
  } else {
    FATHOM_ASSIGN(found.total, total_of(database, key, query, filter));
    if (order.by_number() && from != 0) {
      filter.also(query.descending ? "j.number < ?" : "j.number > ?");
      filter.values.emplace_back(from);
    }
    const std::string rest =
        fmt::format("{} LIMIT {} OFFSET {}", order.sql(query.descending), limit + 1, order.by_number() ? 0 : from);
    FATHOM_ASSIGN(found.numbers, numbers_of(database, filter, rest));
  }
  nlohmann::json next;
  if (static_cast<std::int64_t>(found.numbers.size()) > limit) {
    found.numbers.pop_back();
    next = order.by_number() ? fmt::format("n{}", found.numbers.back()) : fmt::format("o{}", from + limit);
  }
  FATHOM_ASSIGN(Statement select, database.prepare(std::string(kSelectJob) + " WHERE j.number = ?"));
  nlohmann::json items = nlohmann::json::array();
  for (const std::int64_t number : found.numbers) {
    FATHOM_ASSIGN(const bool row, select.bind(1, number).step());
    if (row) items.push_back(job_object(select));
    select.reset();
  }
  return nlohmann::json{{"items", std::move(items)}, {"total", found.total}, {"next", next}};
}

Result<std::vector<CurveJob>> curve_jobs(Database& database, const std::string& sweep, const JobsQuery& query,
                                         std::uint32_t limit) {
  FATHOM_ASSIGN(const SweepKey key, find_sweep(database, sweep));
  FATHOM_ASSIGN(Filter filter, filter_jobs(key, query));
  // Jobs that never began have no curve.
  filter.also("(j.started IS NOT NULL OR j.source IS NOT NULL)");
  FATHOM_ASSIGN(Statement select, database.prepare(fmt::format("{} WHERE {} ORDER BY j.number LIMIT {}", kSelectJob,
                                                               filter.where, limit)));
  filter.bind(select);
  std::vector<CurveJob> found;
  while (true) {
    FATHOM_ASSIGN(const bool row, select.step());
    if (!row) return found;
    const nlohmann::json job = job_object(select);
    const std::int64_t points = select.is_null(25) ? select.integer(0) : select.integer(25);
    found.push_back({JobNumber(static_cast<std::uint64_t>(points)), select.text(1), label_of(job)});
  }
}

}  // namespace fathom::store::queries
