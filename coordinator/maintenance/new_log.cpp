#include "coordinator/maintenance/new_log.hpp"

#include <cerrno>
#include <future>
#include <utility>

#include "common/files.hpp"

namespace fathom::maintenance {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kBatch = 1000;
constexpr const char* kParts[] = {"", "-wal", "-shm"};  // of an SQLite database; the log may need its -wal

fs::path with(const fs::path& file, const std::string& suffix) { return file.string() + suffix; }

void remove_database(const fs::path& file) {
  std::error_code ignored;
  for (const char* part : kParts) fs::remove(with(file, part), ignored);
}

Status move_to(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::rename(from, to, error);
  return error ? Status(system_error(error.value(), "renaming", from.string())) : success();
}

}  // namespace

NewLog::NewLog(fs::path log) : log_(std::move(log)), part_(with(log_, ".new")) {}

Result<std::unique_ptr<NewLog>> NewLog::open(const fs::path& log) {
  std::unique_ptr<NewLog> made(new NewLog(log));
  remove_database(made->part_);  // of a try that was killed
  FATHOM_ASSIGN(made->store_, store::open_event_store(made->part_, {}));
  return made;
}

NewLog::~NewLog() {
  store_.reset();
  remove_database(part_);
}

Status NewLog::add(store::EventRecord record) {
  batch_.push_back(std::move(record));
  return batch_.size() < kBatch ? success() : write();
}

Status NewLog::write() {
  if (batch_.empty()) return success();
  FATHOM_TRY(store_->admit());  // else a full disk would be waited for
  std::promise<Status> durable;
  store_->append(std::exchange(batch_, {}), [&](const Status& status) { durable.set_value(status); });
  return durable.get_future().get();
}

Result<std::string> NewLog::put_in_place() {
  FATHOM_TRY(write());
  store_.reset();  // closes the database: its -wal is gone then
  std::string aside;
  std::error_code error;
  if (fs::exists(log_, error)) {
    fs::path old;
    for (int n = 1; old.empty() || fs::exists(old, error); ++n) old = with(log_, ".damaged-" + std::to_string(n));
    for (const char* part : kParts) {
      if (fs::exists(with(log_, part), error)) FATHOM_TRY(move_to(with(log_, part), with(old, part)));
    }
    aside = old.string();
  }
  FATHOM_TRY(move_to(part_, log_));
  FATHOM_TRY(sync_folder(log_.parent_path().string()));
  remove_database(log_.parent_path() / "read.db");
  std::error_code ignored;
  fs::remove_all(log_.parent_path() / "snapshots", ignored);
  return aside;
}

}  // namespace fathom::maintenance
