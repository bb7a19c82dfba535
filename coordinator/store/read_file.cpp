#include "coordinator/store/read_file.hpp"

#include <optional>

#include <spdlog/spdlog.h>

#include "coordinator/store/read_schema.hpp"

namespace fathom::store {
namespace {

// What the file was made from: which log and up to where. Nothing: not usable, make it anew.
Result<std::optional<std::uint64_t>> usable(Database& database, EventStore& events) {
  FATHOM_ASSIGN(const std::int64_t id, database.integer("PRAGMA application_id"));
  FATHOM_ASSIGN(const std::int64_t version, database.integer("PRAGMA user_version"));
  if (id != kReadModelId || version != kReadModelVersion) return std::optional<std::uint64_t>{};
  FATHOM_ASSIGN(Statement select, database.prepare("SELECT (SELECT value FROM meta WHERE key = 'log'), "
                                                   "(SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'applied')"));
  FATHOM_TRY(select.step());
  const auto applied = static_cast<std::uint64_t>(select.integer(1));
  if (select.text(0) != events.id() || applied > events.last_durable()) return std::optional<std::uint64_t>{};
  return std::optional<std::uint64_t>(applied);
}

// The file can be made again from the log at any time, so it need not be synced with every commit.
DatabaseOptions writer_options() {
  DatabaseOptions options;
  options.synchronous = "NORMAL";
  return options;
}

}  // namespace

Result<std::uint64_t> open_or_rebuild(const std::filesystem::path& file, EventStore& events, Database& writer) {
  const bool existed = std::filesystem::exists(file);
  if (auto opened = Database::open(file, writer_options()); opened) {
    writer = std::move(opened).value();
    if (const auto applied = usable(writer, events); applied && *applied) return **applied;
  }
  writer.close();
  if (existed) spdlog::info("read model {}: made anew from the event log", file.string());
  for (const char* suffix : {"", "-wal", "-shm"}) {
    std::error_code ignored;
    std::filesystem::remove(file.string() + suffix, ignored);
  }
  FATHOM_ASSIGN(writer, Database::open(file, writer_options()));
  FATHOM_TRY(prepare_schema(writer, file, kReadModelId, kReadModelVersion, kReadSchema));
  FATHOM_ASSIGN(Statement insert, writer.prepare("INSERT INTO meta VALUES('log', ?), ('applied', '0')"));
  FATHOM_TRY(insert.bind(1, events.id()).run());
  return std::uint64_t{0};
}

}  // namespace fathom::store
