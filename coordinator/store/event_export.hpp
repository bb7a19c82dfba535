// The event log as a text file: for backups, for people, and for going back to an older Fathom. One JSON object a line:
//   {"format":"fathom-events","version":1,"log":"<id>","program":"0.1.0"}
//   one event (event.proto in protobuf's JSON, original field names), in the order of seq from 1 without a gap
//   {"events":N,"sha256":"<of every byte before this line>"}
// so that a file that lacks its end, or was changed, is noticed.
// Thread: plain objects, one thread each.
#pragma once

#include <cstdint>
#include <functional>
#include <istream>
#include <string>
#include <string_view>

#include "common/result.hpp"
#include "common/sha256.hpp"
#include "coordinator/store/event_store.hpp"

namespace fathom::store {

struct ExportHeader {
  std::string log;      // EventStore::id()
  std::string program;  // version of Fathom that wrote it
};

// Writes an export piece by piece into `sink`, whose first error ends it: begin(), add() for each record, end().
class EventExporter {
 public:
  using Sink = std::function<Status(std::string_view)>;
  explicit EventExporter(Sink sink) : sink_(std::move(sink)) {}

  Status begin(const ExportHeader& header);
  // corrupt: the record is no event.
  Status add(const EventRecord& record);
  Status end();
  [[nodiscard]] std::uint64_t events() const { return events_; }

 private:
  Status put(std::string line);

  Sink sink_;
  Sha256 sum_;
  std::uint64_t events_ = 0;
};

struct ExportLimits {
  std::size_t line = std::size_t{128} << 20;  // bytes of one event
};

// Reads an export and gives its events as records of a log. corrupt, with the line: no export, a changed byte, a gap,
// no end; unsupported: a newer version of the format or an event this build does not know how to read. Never holds more
// than one line; `each` has seen every event before the end is found to be wrong, so keep nothing until this succeeds.
Result<ExportHeader> read_export(std::istream& in, const std::function<Status(const EventRecord&)>& each,
                                 const ExportLimits& limits = {});

}  // namespace fathom::store
