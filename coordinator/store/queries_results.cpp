// Result rows with the columns of results.csv (docs/protocol.md): which job has some is in the tables, they are in the
// event that ended it.
#include <cstdio>
#include <map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "coordinator/core/event.pb.h"
#include "coordinator/store/projector.hpp"
#include "coordinator/store/queries.hpp"

namespace fathom::store::queries {
namespace {

using nlohmann::json;

constexpr std::int64_t kJobsAtOnce = 64;
constexpr const char* kSelectJobs =
    "SELECT j.number, j.result_seq, j.stage, j.kind, j.task, j.drop_label, j.set_label, j.keep, j.seed, j.state, "
    "j.parameters, s.recipe, s.precision, coalesce(b.device, j.device), j.id, j.result_generation, j.result_attempt, "
    "j.sha256, j.source "
    "FROM jobs j LEFT JOIN jobs b ON b.number = j.source JOIN sweeps s ON s.number = j.sweep "
    "WHERE j.number >= ? AND j.number < ? AND j.result_rows > 0 ORDER BY j.number LIMIT ?";

// n, lo and hi of "specialized-03" and "robust-00-05"; null where they have no meaning.
void add_drop(json& row, const std::string& drop) {
  int low = 0;
  int high = 0;
  row["drop"] = drop;
  row["n"] = row["lo"] = row["hi"] = nullptr;
  if (std::sscanf(drop.c_str(), "robust-%d-%d", &low, &high) == 2) {
    row["lo"] = low;
    row["hi"] = high;
  } else if (drop == "robust-all") {
    row["lo"] = 0;  // hi is the last layer of a model that the log does not know
  } else if (std::sscanf(drop.c_str(), "specialized-%d", &low) == 1) {
    row["n"] = low;
  } else if (drop == "standard") {
    row["n"] = 0;
  }
}

// A job with a result: what its rows have alike.
struct Source {
  std::int64_t job = 0;
  std::uint64_t seq = 0;
  json row;
};

Source source_of(const std::string& sweep, const Statement& s) {
  Source source{s.integer(0), static_cast<std::uint64_t>(s.integer(1)), {}};
  json& row = source.row;
  row = {{"sweep", sweep},
         {"stage", s.text(2)},
         {"kind", s.text(3)},
         {"task", s.text(4)},
         {"set", s.text(6)},
         {"members", s.text(6)},
         {"seed", s.integer(8)},
         {"status", s.text(9)},
         {"recipe", s.text(11)},
         {"precision", s.text(12)},
         {"device", s.text(13)},
         {"job", s.text(14)},
         {"generation", s.integer(15)},
         {"attempt", s.integer(16)},
         {"cached", !s.is_null(18)},
         {"sha256", s.text(17)}};
  add_drop(row, s.text(5));
  row["kept"] = s.integer(7) == 0 ? json() : json(s.integer(7));
  const json parameters = parse_or(s.text(10), "{}");  // named: items() refers to it
  for (const auto& [name, value] : parameters.items()) row["param." + name] = value;
  return source;
}

Result<std::vector<Source>> sources(Database& database, const std::string& sweep, std::int64_t from, std::int64_t end) {
  FATHOM_ASSIGN(Statement * select, database.cached(kSelectJobs));
  select->bind_all(from, end, kJobsAtOnce);
  std::vector<Source> found;
  while (true) {
    FATHOM_ASSIGN(const bool row, select->step());
    if (!row) return found;
    found.push_back(source_of(sweep, *select));
  }
}

// A member of a row, where it is there and of this kind: a worker of another version may send others.
template <class T>
T member(const json& row, const char* name, T otherwise) {
  const auto found = row.is_object() ? row.find(name) : row.end();
  if (found == row.end()) return otherwise;
  if constexpr (std::is_same_v<T, std::string>) return found->is_string() ? found->get<T>() : otherwise;
  if constexpr (std::is_same_v<T, bool>) return found->is_boolean() ? found->get<T>() : otherwise;
  if constexpr (std::is_same_v<T, std::int64_t>) return found->is_number() ? found->get<T>() : otherwise;
}

json row_of(const Source& source, const json& result) {
  json row = source.row;
  row["depth"] = member<std::int64_t>(result, "depth", 0);
  row["split"] = member<std::string>(result, "split", {});
  row["metric"] = member<std::string>(result, "metric", {});
  row["primary"] = member<bool>(result, "primary", false);
  row["epoch"] = member<std::int64_t>(result, "epoch", 0);
  const auto value = result.is_object() ? result.find("value") : result.end();
  row["value"] = value != result.end() && value->is_number() ? json(value->get<double>()) : json();
  return row;
}

Result<std::map<std::uint64_t, json>> tables_of(const ReadEvents& read, const std::vector<Source>& sources) {
  std::vector<std::uint64_t> seqs;
  for (const Source& source : sources) seqs.push_back(source.seq);
  std::map<std::uint64_t, json> tables;
  FATHOM_TRY(read(seqs, [&](const event::Event& event) {
    json shown;
    show_result(event, shown);
    if (shown.is_object()) tables[event.seq()] = shown["result"].value("rows", json::array());
  }));
  return tables;
}

// Where a page begins: behind this row of this job.
struct Place {
  std::int64_t job = 0, row = -1, total = 0;
};

// The total is counted once, for the first page, and then travels in the cursor: a long list stays linear.
Result<Place> begin_of(Database& database, const SweepKey& key, const Page& page) {
  if (page.cursor.empty()) {
    FATHOM_ASSIGN(const std::int64_t total,
                  database.integer(fmt::format("SELECT sum(result_rows) FROM jobs WHERE number >= {} AND number < {}",
                                               key.first_job, key.first_job + key.jobs)));
    return Place{key.first_job, -1, total};
  }
  FATHOM_ASSIGN(const auto cursor, read_cursor(page.cursor, 'r', 3));
  if (cursor[0] < key.first_job) return Error{Errc::invalid_argument, "cursor of another sweep"};
  return Place{cursor[0], cursor[1], cursor[2]};
}

}  // namespace

Result<json> results(Database& database, const ReadEvents& read, const std::string& sweep, const Page& page) {
  FATHOM_ASSIGN(const SweepKey key, find_sweep(database, sweep));
  FATHOM_ASSIGN(Place last, begin_of(database, key, page));
  const auto limit = static_cast<std::size_t>(clamp_limit(page.limit));
  json answer = {{"items", json::array()}, {"total", last.total}, {"next", nullptr}};
  json& items = answer["items"];
  std::vector<Source> some;
  for (std::int64_t from = last.job; from < key.first_job + key.jobs; from = some.back().job + 1) {
    FATHOM_ASSIGN(some, sources(database, sweep, from, key.first_job + key.jobs));
    if (some.empty()) break;
    FATHOM_ASSIGN(auto tables, tables_of(read, some));
    for (const Source& source : some) {
      std::int64_t place = -1;
      for (const json& result : tables[source.seq]) {
        if (!result.is_structured() || (++place <= last.row && source.job == last.job)) continue;
        if (items.size() == limit) {
          answer["next"] = fmt::format("r{}.{}.{}", last.job, last.row, last.total);
          return answer;
        }
        items.push_back(row_of(source, result));
        last.job = source.job, last.row = place;
      }
    }
  }
  return answer;
}

}  // namespace fathom::store::queries
