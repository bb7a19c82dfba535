// What happened to a job: its numbers are in the tables, what it was in the log.
#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "coordinator/core/event.pb.h"
#include "coordinator/store/job_history.hpp"
#include "coordinator/store/queries.hpp"

namespace fathom::store::queries {
namespace {

using nlohmann::json;

// Events of the log that are read under one lock: commits wait meanwhile.
constexpr std::size_t kAtOnce = 64;

Result<std::vector<HistoryEntry>> history_of(Database& database, std::int64_t number) {
  // A long history is in parts; the newest one is the job's own.
  FATHOM_ASSIGN(Statement * select,
                database.cached("SELECT seq, entries FROM job_events WHERE job = ?1 UNION ALL "
                                "SELECT 9223372036854775807, history FROM jobs WHERE number = ?1 ORDER BY seq"));
  select->bind(1, number);
  std::string history;
  while (true) {
    FATHOM_ASSIGN(const bool row, select->step());
    if (!row) return parse_history(history);
    history += select->text(1);
  }
}

std::string one_text(Database& database, const char* sql, std::int64_t key) {
  const auto select = database.cached(sql);
  if (!select) return {};
  const auto row = (*select)->bind(1, key).step();
  std::string text = row && *row ? (*select)->text(0) : std::string();
  (*select)->reset();
  return text;
}

EventNames names_in(Database& database) {
  EventNames names;
  names.worker = [&database](std::uint32_t number) {
    const std::string name = one_text(database, "SELECT name FROM workers WHERE number = ?", number);
    return name.empty() ? fmt::format("worker {}", number) : name;
  };
  names.job = [&database](std::uint64_t number) {
    return one_text(database, "SELECT id FROM jobs WHERE number = ?", static_cast<std::int64_t>(number));
  };
  return names;
}

Result<std::vector<event::Event>> read_all(const ReadEvents& read, const std::vector<std::uint64_t>& seqs) {
  std::vector<event::Event> events;
  events.reserve(seqs.size());
  FATHOM_TRY(read(seqs, [&](const event::Event& event) { events.push_back(event); }));
  return events;
}

}  // namespace

ReadEvents from_log(EventStore& log) {
  return
      [&log](const std::vector<std::uint64_t>& seqs, const std::function<void(const event::Event&)>& each) -> Status {
        event::Event event;
        for (std::size_t at = 0; at < seqs.size(); at += kAtOnce) {
          const auto from = seqs.begin() + static_cast<std::ptrdiff_t>(at);
          const auto count = static_cast<std::ptrdiff_t>(std::min(kAtOnce, seqs.size() - at));
          FATHOM_TRY(log.read({from, from + count}, [&](const EventRecord& record) {
            if (!event.ParseFromString(record.bytes)) return;
            event.set_seq(record.seq);
            each(event);
          }));
        }
        return success();
      };
}

Result<json> attempts(Database& database, const ReadEvents& read, std::int64_t number) {
  FATHOM_ASSIGN(const auto history, history_of(database, number));
  FATHOM_ASSIGN(const auto events, read_all(read, attempt_seqs(history)));
  return attempts_of(events, names_in(database));
}

Result<json> job_events(Database& database, const ReadEvents& read, std::int64_t number, const Page& page) {
  std::uint64_t after = 0;
  if (!page.cursor.empty()) {
    FATHOM_ASSIGN(const auto cursor, read_cursor(page.cursor, 'n', 1));
    after = static_cast<std::uint64_t>(cursor[0]);
  }
  const auto limit = static_cast<std::size_t>(clamp_limit(page.limit));
  FATHOM_ASSIGN(const auto history, history_of(database, number));
  std::vector<std::uint64_t> seqs;
  json next;
  for (const HistoryEntry& entry : history) {
    if (entry.seq <= after) continue;
    if (seqs.size() == limit) {
      next = fmt::format("n{}", seqs.back());
      break;
    }
    seqs.push_back(entry.seq);
  }
  FATHOM_ASSIGN(const auto events, read_all(read, seqs));
  const EventNames names = names_in(database);
  json items = json::array();
  for (const event::Event& event : events) {
    items.push_back(
        {{"seq", event.seq()}, {"time", event.wall_ms()}, {"type", type_of(event)}, {"text", text_of(event, names)}});
  }
  return json{{"items", std::move(items)}, {"total", history.size()}, {"next", next}};
}

}  // namespace fathom::store::queries
