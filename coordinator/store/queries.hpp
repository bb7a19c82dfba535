// The questions of read_model.hpp as SQL, each on a connection that is inside one read transaction, so that counts and
// rows of an answer fit together. Answers: docs/protocol.md "REST". Thread: the caller's, with its own Database.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <variant>
#include <vector>

#include <nlohmann/json.hpp>

#include "coordinator/store/read_model.hpp"
#include "coordinator/store/sqlite.hpp"

namespace fathom::event {
class Event;
}

namespace fathom::store::queries {

// Gives the events with these numbers from the log, in their order; those that cannot be read are left out.
using ReadEvents =
    std::function<Status(const std::vector<std::uint64_t>&, const std::function<void(const event::Event&)>&)>;
ReadEvents from_log(EventStore& log);  // `log` outlives it

// A WHERE clause in the making: text with '?' and what goes there, in order.
struct Filter {
  std::string from = "jobs j";
  std::string where;
  std::vector<std::variant<std::int64_t, std::string>> values;
  void also(const std::string& condition);
  void bind(Statement& statement, int first = 1) const;
};

// A sweep's number, the first of its jobs and how many there are, and the event that submitted it. not_found: no such
// sweep.
struct SweepKey {
  std::int64_t number = 0;
  std::int64_t first_job = 0;
  std::int64_t jobs = 0;
  std::uint64_t submitted = 0;
};
class JobColumns;  // job_columns.hpp
Result<SweepKey> find_sweep(Database& database, const std::string& sweep);
// The job whose points and log the job shows: its own, or those of the job that its result was taken from.
Result<std::int64_t> trained_job(Database& database, const std::string& sweep, const std::string& job);
Result<std::int64_t> find_job(Database& database, const std::string& sweep, const std::string& job);
Result<Filter> filter_jobs(const SweepKey& sweep, const JobsQuery& query);

// Columns and tables of a short job object, and the object of the row that the statement stands on.
extern const char* const kSelectJob;
nlohmann::json job_object(const Statement& row);
nlohmann::json parse_or(const std::string& text, const char* fallback);

Result<nlohmann::json> sweeps(Database& database, const Page& page);
Result<nlohmann::json> sweep(Database& database, std::int64_t number);
// The file that the event with this number submitted, or the JSON that it was resolved to. corrupt: it submits none.
Result<std::string> submitted_text(const ReadEvents& read, std::uint64_t submitted, bool resolved);
// `columns`: of this database; for pages that would read every row.
Result<nlohmann::json> jobs(Database& database, JobColumns& columns, const std::string& sweep, const JobsQuery& query);
Result<nlohmann::json> job_by_number(Database& database, std::int64_t number);
// Everything but what stands in the plan ("settings", then null) and in the log.
struct JobDetail {
  nlohmann::json job;
  std::uint64_t result_seq = 0;  // of the event that has "result" and "files"; 0: there is none
};
Result<JobDetail> job_detail(Database& database, const ReadEvents& read, std::int64_t number);
Result<nlohmann::json> attempts(Database& database, const ReadEvents& read, std::int64_t number);
Result<nlohmann::json> job_events(Database& database, const ReadEvents& read, std::int64_t number, const Page& page);
Result<nlohmann::json> results(Database& database, const ReadEvents& read, const std::string& sweep, const Page& page);
Result<nlohmann::json> workers(Database& database);
Result<std::vector<CurveJob>> curve_jobs(Database& database, const std::string& sweep, const JobsQuery& filter,
                                         std::uint32_t limit);
Result<nlohmann::json> changes_after(Database& database, std::uint64_t seq, const std::string& sweep,
                                     std::uint32_t limit);

// Cursors are a letter and whole numbers with '.' between: "n120", "r17.3.980". invalid_argument for anything else.
Result<std::vector<std::int64_t>> read_cursor(const std::string& cursor, char letter, std::size_t numbers);
std::int64_t clamp_limit(std::uint32_t limit);

}  // namespace fathom::store::queries
