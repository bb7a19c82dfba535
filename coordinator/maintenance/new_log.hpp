// A whole new event log, written beside the one in use and put in its place when it is complete and durable.
// Thread: one. Owner: the function that makes the log; an object that was not put in place leaves nothing behind.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "common/result.hpp"
#include "coordinator/store/event_store.hpp"

namespace fathom::maintenance {

class NewLog {
 public:
  // `log`: the path that the log is to have in the end.
  static Result<std::unique_ptr<NewLog>> open(const std::filesystem::path& log);
  ~NewLog();
  NewLog(const NewLog&) = delete;
  NewLog& operator=(const NewLog&) = delete;

  // Records go on from the last one. Written in batches; an error of an earlier batch may come later.
  Status add(store::EventRecord record);
  // Everything durable, the old log (if any) renamed to NAME.damaged-N, this one in its place, and what was made from
  // the old one (read.db) removed. Returns where the old one is now; empty: there was none.
  Result<std::string> put_in_place();

 private:
  explicit NewLog(std::filesystem::path log);
  Status write();

  const std::filesystem::path log_;
  const std::filesystem::path part_;
  std::unique_ptr<store::EventStore> store_;
  std::vector<store::EventRecord> batch_;
};

}  // namespace fathom::maintenance
