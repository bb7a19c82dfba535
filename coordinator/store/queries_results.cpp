// Result rows with the columns of results.csv (docs/protocol.md).
#include <cstdio>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "coordinator/store/queries.hpp"

namespace fathom::store::queries {
namespace {

using nlohmann::json;

constexpr const char* kSelectRows =
    "SELECT r.job, r.place, j.stage, j.kind, j.task, j.drop_label, r.depth, j.set_label, j.keep, j.seed, r.split, "
    "r.metric, "
    "r.value, r.is_primary, r.epoch, j.state, j.parameters, s.recipe, s.precision, "
    "coalesce(b.device, j.device), j.id, j.result_generation, j.result_attempt, j.sha256, "
    "j.source "
    "FROM result_rows r JOIN jobs j ON j.number = r.job LEFT JOIN jobs b ON b.number = j.source "
    "JOIN sweeps s ON s.number = j.sweep "
    "WHERE (r.job, r.place) > (?1, ?2) AND r.job < ?3 ORDER BY r.job, r.place LIMIT ?4";

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

json result_row(const std::string& sweep, const Statement& s) {
  json row = {{"sweep", sweep},
              {"stage", s.text(2)},
              {"kind", s.text(3)},
              {"task", s.text(4)},
              {"depth", s.integer(6)},
              {"set", s.text(7)},
              {"members", s.text(7)},
              {"seed", s.integer(9)},
              {"split", s.text(10)},
              {"metric", s.text(11)},
              {"primary", s.integer(13) != 0},
              {"epoch", s.integer(14)},
              {"status", s.text(15)},
              {"recipe", s.text(17)},
              {"precision", s.text(18)},
              {"device", s.text(19)},
              {"job", s.text(20)},
              {"generation", s.integer(21)},
              {"attempt", s.integer(22)},
              {"cached", !s.is_null(24)},
              {"sha256", s.text(23)}};
  add_drop(row, s.text(5));
  row["kept"] = s.integer(8) == 0 ? json() : json(s.integer(8));
  row["value"] = s.is_null(12) ? json() : json(s.real(12));
  const json parameters = parse_or(s.text(16), "{}");  // named: items() refers to it
  for (const auto& [name, value] : parameters.items()) row["param." + name] = value;
  return row;
}

}  // namespace

Result<json> results(Database& database, const std::string& sweep, const Page& page) {
  FATHOM_ASSIGN(const SweepKey key, find_sweep(database, sweep));
  std::int64_t job = key.first_job - 1;
  std::int64_t place = INT64_MAX;
  std::int64_t total = 0;
  // The total is counted once, for the first page, and then travels in the cursor: a long list stays linear.
  if (!page.cursor.empty()) {
    FATHOM_ASSIGN(const auto cursor, read_cursor(page.cursor, 'r', 3));
    if (cursor[0] < key.first_job) return Error{Errc::invalid_argument, "cursor of another sweep"};
    job = cursor[0];
    place = cursor[1];
    total = cursor[2];
  } else {
    FATHOM_ASSIGN(total, database.integer(fmt::format("SELECT count(*) FROM result_rows WHERE job >= {} AND job < {}",
                                                      key.first_job, key.first_job + key.jobs)));
  }
  const std::int64_t limit = clamp_limit(page.limit);
  FATHOM_ASSIGN(Statement select, database.prepare(kSelectRows));
  select.bind_all(job, place, key.first_job + key.jobs, limit + 1);
  json items = json::array();
  json next;
  while (true) {
    FATHOM_ASSIGN(const bool row, select.step());
    if (!row) break;
    if (static_cast<std::int64_t>(items.size()) == limit) {
      next = fmt::format("r{}.{}.{}", job, place, total);
      break;
    }
    job = select.integer(0);
    place = select.integer(1);
    items.push_back(result_row(sweep, select));
  }
  return json{{"items", std::move(items)}, {"total", total}, {"next", next}};
}

}  // namespace fathom::store::queries
