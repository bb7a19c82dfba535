#include "coordinator/store/sqlite.hpp"

#include <sqlite3.h>

#include <cerrno>
#include <cmath>
#include <limits>

#include <fmt/format.h>

namespace fathom::store {
namespace {

// A full disk is worth waiting for; a failed sync never is, since the kernel may have thrown the pages away.
Errc errc_of(int code, int system_errno) {
  const bool no_space = system_errno == ENOSPC || system_errno == EDQUOT;
  switch (code & 0xFF) {
    case SQLITE_FULL:
      return Errc::resource_exhausted;
    case SQLITE_IOERR:
      return no_space && code != SQLITE_IOERR_FSYNC ? Errc::resource_exhausted : Errc::internal;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return Errc::corrupt;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Errc::failed_precondition;
    case SQLITE_READONLY:
    case SQLITE_PERM:
      return Errc::permission_denied;
    case SQLITE_CANTOPEN:
      return no_space ? Errc::resource_exhausted : Errc::permission_denied;
    default:
      return Errc::internal;
  }
}

Error error_of(sqlite3* handle, const std::string& doing) {
  if (handle == nullptr) return {Errc::internal, fmt::format("{}: out of memory", doing)};
  const int code = sqlite3_extended_errcode(handle);
  const char* file = sqlite3_db_filename(handle, "main");
  return {errc_of(code, sqlite3_system_errno(handle)),
          fmt::format("{}: {} (SQLite code {}, file {})", doing, sqlite3_errmsg(handle), code,
                      file != nullptr && *file != 0 ? file : "?")};
}

}  // namespace

Statement::Statement(sqlite3* database, sqlite3_stmt* statement) : database_(database), statement_(statement) {}

Statement::Statement(Statement&& other) noexcept { *this = std::move(other); }

Statement& Statement::operator=(Statement&& other) noexcept {
  std::swap(database_, other.database_);
  std::swap(statement_, other.statement_);
  std::swap(bind_error_, other.bind_error_);
  std::swap(used_, other.used_);
  return *this;
}

Statement::~Statement() { sqlite3_finalize(statement_); }

void Statement::keep(int code) {
  used_ = true;
  if (code != SQLITE_OK && bind_error_ == SQLITE_OK) bind_error_ = code;
}

Statement& Statement::bind(int index, std::int64_t value) {
  keep(sqlite3_bind_int64(statement_, index, value));
  return *this;
}

Statement& Statement::bind(int index, double value) {
  keep(sqlite3_bind_double(statement_, index, value));
  return *this;
}

Statement& Statement::bind(int index, std::string_view text) {
  // An empty view may have no address, which SQLite would store as NULL.
  const char* bytes = text.data() == nullptr ? "" : text.data();
  keep(sqlite3_bind_text64(statement_, index, bytes, text.size(), SQLITE_TRANSIENT, SQLITE_UTF8));
  return *this;
}

void Statement::borrow_text(int index, std::string_view text) {
  const char* bytes = text.data() == nullptr ? "" : text.data();
  keep(sqlite3_bind_text64(statement_, index, bytes, text.size(), SQLITE_STATIC, SQLITE_UTF8));
}

Statement& Statement::bind_blob(int index, std::string_view bytes) {
  const char* data = bytes.data() == nullptr ? "" : bytes.data();
  keep(sqlite3_bind_blob64(statement_, index, data, bytes.size(), SQLITE_TRANSIENT));
  return *this;
}

Statement& Statement::borrow_blob(int index, std::string_view bytes) {
  const char* data = bytes.data() == nullptr ? "" : bytes.data();
  keep(sqlite3_bind_blob64(statement_, index, data, bytes.size(), SQLITE_STATIC));
  return *this;
}

Statement& Statement::bind_null(int index) {
  keep(sqlite3_bind_null(statement_, index));
  return *this;
}

Result<bool> Statement::step() {
  if (bind_error_ != SQLITE_OK) {
    const std::string why = sqlite3_errstr(bind_error_);
    reset();
    return Error{Errc::internal, "binding a statement's parameters: " + why};
  }
  used_ = true;
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) {
    reset();
    return false;
  }
  const Error error = error_of(database_, "running a statement");
  reset();
  return error;
}

Status Statement::run() {
  auto row = step();
  if (!row) return row.error();
  reset();
  return success();
}

void Statement::reset() {
  if (!used_) return;
  used_ = false;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
  bind_error_ = SQLITE_OK;
}

bool Statement::is_number(int column) const {
  const int type = sqlite3_column_type(statement_, column);
  return type == SQLITE_INTEGER || type == SQLITE_FLOAT;
}
bool Statement::is_null(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }
std::int64_t Statement::integer(int column) const { return sqlite3_column_int64(statement_, column); }

double Statement::real(int column) const {
  if (is_null(column)) return std::numeric_limits<double>::quiet_NaN();
  return sqlite3_column_double(statement_, column);
}

std::string Statement::text(int column) const {
  const void* bytes = sqlite3_column_blob(statement_, column);
  const int size = sqlite3_column_bytes(statement_, column);
  return bytes == nullptr ? std::string{}
                          : std::string(static_cast<const char*>(bytes), static_cast<std::size_t>(size));
}

int Statement::columns() const { return sqlite3_column_count(statement_); }
std::string Statement::column_name(int column) const { return sqlite3_column_name(statement_, column); }

void Database::Closer::operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }

Database& Database::operator=(Database&& other) noexcept {
  close();
  handle_ = std::move(other.handle_);
  cache_ = std::move(other.cache_);
  return *this;
}

void Database::close() {
  cache_.clear();  // statements go before their connection
  handle_.reset();
}

Result<Database> Database::open(const std::filesystem::path& file, const DatabaseOptions& options) {
  // Its own count of memory costs a lock at every allocation, and nobody asks for it. Refused once SQLite is in use.
  [[maybe_unused]] static const int uncounted = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
  sqlite3* handle = nullptr;
  const int flags = (options.read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE) |
                    SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
  const int code = sqlite3_open_v2(file.c_str(), &handle, flags, options.vfs.empty() ? nullptr : options.vfs.c_str());
  Database database;
  database.handle_.reset(handle);
  if (code != SQLITE_OK) return error_of(handle, fmt::format("opening {}", file.string()));
  sqlite3_extended_result_codes(handle, 1);
  // A process that was just killed lets go of its locks at once; anything longer is a second program.
  sqlite3_busy_timeout(handle, options.exclusive ? 500 : 10000);
  if (options.exclusive) FATHOM_TRY(database.execute("PRAGMA locking_mode=EXCLUSIVE"));
  if (!options.read_only) FATHOM_TRY(database.execute("PRAGMA journal_mode=WAL"));
  FATHOM_TRY(database.execute(fmt::format("PRAGMA synchronous={}", options.synchronous)));
  FATHOM_TRY(database.execute("PRAGMA journal_size_limit=67108864; PRAGMA temp_store=MEMORY; PRAGMA foreign_keys=OFF"));
  // In exclusive mode the lock is taken by the first write and then kept.
  if (options.exclusive) FATHOM_TRY(database.execute("BEGIN IMMEDIATE; COMMIT"));
  return database;
}

Status Database::execute(const std::string& sql) {
  if (sqlite3_exec(handle_.get(), sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK) return success();
  return error_of(handle_.get(), fmt::format("running \"{}\"", sql.substr(0, 60)));
}

Result<Statement> Database::prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int size = static_cast<int>(sql.size());
  if (sqlite3_prepare_v2(handle_.get(), sql.data(), size, &statement, nullptr) != SQLITE_OK) {
    return error_of(handle_.get(), fmt::format("preparing \"{}\"", sql));
  }
  return Statement(handle_.get(), statement);
}

Result<Statement*> Database::cached(const char* sql) {
  auto& slot = cache_[sql];
  if (slot == nullptr) {
    FATHOM_ASSIGN(Statement fresh, prepare(sql));
    slot = std::make_unique<Statement>(std::move(fresh));
  }
  slot->reset();
  return slot.get();
}

Status Database::run(const char* sql) {
  FATHOM_ASSIGN(Statement * statement, cached(sql));
  return statement->run();
}

Result<std::int64_t> Database::integer(const std::string& sql) {
  FATHOM_ASSIGN(Statement statement, prepare(sql));
  FATHOM_ASSIGN(const bool row, statement.step());
  return row ? statement.integer(0) : 0;
}

bool Database::in_transaction() const { return sqlite3_get_autocommit(handle_.get()) == 0; }

Status prepare_schema(Database& database, const std::filesystem::path& file, std::int64_t application_id,
                      std::int64_t version, const std::string& schema) {
  FATHOM_ASSIGN(const std::int64_t found_id, database.integer("PRAGMA application_id"));
  FATHOM_ASSIGN(const std::int64_t found_version, database.integer("PRAGMA user_version"));
  FATHOM_ASSIGN(const std::int64_t tables, database.integer("SELECT count(*) FROM sqlite_master"));
  if (tables == 0) {
    return database.execute(fmt::format("BEGIN; PRAGMA application_id={}; PRAGMA user_version={}; {} COMMIT",
                                        application_id, version, schema));
  }
  if (found_id != application_id) {
    return Error{Errc::corrupt, fmt::format("{} is not a file of this kind: another program made it; name another "
                                            "state folder with --state, or move the file away",
                                            file.string())};
  }
  if (found_version > version) {
    return Error{Errc::unsupported,
                 fmt::format("{} was written by a newer Fathom (schema {}, this program knows {}): start that version, "
                             "or name another state folder with --state",
                             file.string(), found_version, version)};
  }
  if (found_version < version) {
    return Error{Errc::unsupported, fmt::format("{} has schema {}, which this program no longer reads (it knows {})",
                                                file.string(), found_version, version)};
  }
  return success();
}

}  // namespace fathom::store
