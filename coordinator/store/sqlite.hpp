// The few parts of SQLite that the stores use, with Result instead of return codes. Thread: a Database and its
// Statements belong to one thread at a time (the owner's lock); SQLite's own mutexes are off.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>

#include "common/result.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace fathom::store {

// One prepared statement. bind() counts parameters from 1, columns count from 0, as SQLite does. A failed bind is
// reported by the next step().
class Statement {
 public:
  Statement() = default;
  Statement(sqlite3* database, sqlite3_stmt* statement);
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&& other) noexcept;
  ~Statement();

  Statement& bind(int index, std::int64_t value);
  Statement& bind(int index, double value);           // NaN becomes NULL
  Statement& bind(int index, std::string_view text);  // copied
  Statement& bind_blob(int index, std::string_view bytes);
  Statement& borrow_blob(int index, std::string_view bytes);  // not copied, as borrow_all()
  Statement& bind_null(int index);
  template <class Value>
  Statement& bind(int index, const std::optional<Value>& value) {  // none becomes NULL
    return value ? bind(index, *value) : bind_null(index);
  }
  template <class... Values>
  Statement& bind_all(const Values&... values) {
    int index = 0;
    (bind(++index, values), ...);
    return *this;
  }

  // As bind(), but texts are not copied: they have to be there until the next step() or run().
  template <class... Values>
  Statement& borrow_all(const Values&... values) {
    int index = 0;
    (borrow(++index, values), ...);
    return *this;
  }

  // True: a row can be read; false: done. After false or an error the statement is reset and can be bound again.
  Result<bool> step();
  // For statements without rows.
  Status run();
  void reset();

  [[nodiscard]] bool is_null(int column) const;
  [[nodiscard]] bool is_number(int column) const;  // an integer or a real
  [[nodiscard]] std::int64_t integer(int column) const;
  [[nodiscard]] double real(int column) const;       // NULL reads as NaN
  [[nodiscard]] std::string text(int column) const;  // text or blob
  [[nodiscard]] int columns() const;
  [[nodiscard]] std::string column_name(int column) const;

 private:
  template <class Value>
  void borrow(int index, const Value& value) {
    if constexpr (std::is_convertible_v<const Value&, std::string_view>) {
      borrow_text(index, value);
    } else if constexpr (std::is_same_v<Value, std::optional<std::string>>) {
      value ? borrow_text(index, *value) : void(bind_null(index));
    } else {
      bind(index, value);
    }
  }
  void borrow_text(int index, std::string_view text);
  void keep(int code);
  sqlite3* database_ = nullptr;
  sqlite3_stmt* statement_ = nullptr;
  int bind_error_ = 0;
  bool used_ = false;  // since reset()
};

struct DatabaseOptions {
  bool read_only = false;
  bool exclusive = false;  // no other process or connection may open it while this one lives
  const char* synchronous = "FULL";
  std::string vfs;
};

class Database {
 public:
  Database() = default;
  Database(Database&&) noexcept = default;
  Database& operator=(Database&& other) noexcept;
  ~Database() { close(); }

  // Opens or creates the file in WAL mode. failed_precondition: held by another process; corrupt: no SQLite file.
  static Result<Database> open(const std::filesystem::path& file, const DatabaseOptions& options);

  Status execute(const std::string& sql);
  Result<Statement> prepare(std::string_view sql);
  // Prepared once per text and kept; reset before it is handed out. `sql` must be a literal.
  Result<Statement*> cached(const char* sql);
  Status run(const char* sql);  // as below, without parameters
  // Runs a statement with these parameters; `sql` must be a literal.
  template <class... Values>
  Status run(const char* sql, const Values&... values) {
    FATHOM_ASSIGN(Statement * statement, cached(sql));
    return statement->borrow_all(values...).run();
  }
  // The single integer that `sql` yields; 0 where it yields nothing.
  Result<std::int64_t> integer(const std::string& sql);

  [[nodiscard]] bool in_transaction() const;
  void close();

 private:
  struct Closer {
    void operator()(sqlite3* handle) const;
  };
  std::unique_ptr<sqlite3, Closer> handle_;
  std::unordered_map<const void*, std::unique_ptr<Statement>> cache_;
};

// Marks a file as ours and of a version. Checks an existing one: unsupported when it is newer, corrupt when it is
// somebody else's; runs `schema` in a transaction when the file is new.
Status prepare_schema(Database& database, const std::filesystem::path& file, std::int64_t application_id,
                      std::int64_t version, const std::string& schema);

}  // namespace fathom::store
