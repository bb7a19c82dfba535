#include "coordinator/store/event_export.hpp"

#include <google/protobuf/util/json_util.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <utility>

#include "coordinator/core/event.pb.h"

namespace fathom::store {
namespace {

using nlohmann::json;

constexpr const char* kFormat = "fathom-events";
constexpr int kVersion = 1;

// One line after the other, with its number for messages and the hash of everything before it.
class Lines {
 public:
  Lines(std::istream& in, std::size_t limit) : in_(in), limit_(limit) {}

  // False: the file ends here.
  Result<bool> next(std::string& line) {
    line.clear();
    ++number_;
    std::streambuf& bytes = *in_.rdbuf();
    for (int c = bytes.sbumpc(); c != std::char_traits<char>::eof(); c = bytes.sbumpc()) {
      if (c == '\n') return true;
      if (line.size() >= limit_) return wrong(fmt::format("is longer than {} MiB", limit_ >> 20));
      line.push_back(static_cast<char>(c));
    }
    if (line.empty()) return false;
    return wrong("has no end: the file was cut off");
  }

  [[nodiscard]] Error wrong(const std::string& what) const {
    return {Errc::corrupt, fmt::format("line {} {}", number_, what)};
  }

 private:
  std::istream& in_;
  std::size_t limit_;
  std::uint64_t number_ = 0;
};

Result<ExportHeader> read_header(Lines& lines, const std::string& line) {
  const json header = json::parse(line, nullptr, false);
  if (!header.is_object() || header.value("format", json()) != kFormat) {
    return lines.wrong("is not the head of an export (\"format\":\"fathom-events\")");
  }
  const json version = header.value("version", json());
  if (version != kVersion) {
    return Error{Errc::unsupported, fmt::format("the export has format {}, this build reads {}: use a newer fathom",
                                                version.dump(), kVersion)};
  }
  const auto text = [&](const char* key) {
    const json value = header.value(key, json());
    return value.is_string() ? value.get<std::string>() : std::string{};
  };
  return ExportHeader{text("log"), text("program")};
}

Result<EventRecord> read_event(Lines& lines, const std::string& line, std::uint64_t seq) {
  event::Event event;
  const auto parsed = google::protobuf::util::JsonStringToMessage(line, &event);
  if (!parsed.ok()) return lines.wrong("is no event that this build knows: " + parsed.ToString());
  if (event.seq() != seq) return lines.wrong(fmt::format("holds event {} where {} belongs", event.seq(), seq));
  return EventRecord{seq, event.SerializeAsString()};
}

Status check_end(Lines& lines, const json& end, std::uint64_t events, const std::string& sum) {
  if (end.value("events", json()) != events)
    return lines.wrong(fmt::format("promises another number of events than {}", events));
  if (end.value("sha256", json()) != sum)
    return lines.wrong("has another hash than the file: something in it was changed");
  std::string more;
  FATHOM_ASSIGN(const bool goes_on, lines.next(more));
  if (goes_on) return lines.wrong("stands after the end of the export");
  return success();
}

// The last line is told from an event by its first key.
bool is_end(const std::string& line) { return line.starts_with("{\"events\":"); }

}  // namespace

Status EventExporter::put(std::string line) {
  line.push_back('\n');
  sum_.update(line);
  return sink_(line);
}

Status EventExporter::begin(const ExportHeader& header) {
  // In this order, for people.
  return put(fmt::format(R"({{"format":"{}","version":{},"log":{},"program":{}}})", kFormat, kVersion,
                         json(header.log).dump(), json(header.program).dump()));
}

Status EventExporter::add(const EventRecord& record) {
  event::Event event;
  if (!event.ParseFromString(record.bytes)) {
    return Error{Errc::corrupt, fmt::format("record {} is no event", record.seq)};
  }
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string line;
  const auto printed = google::protobuf::util::MessageToJsonString(event, &line, options);
  if (!printed.ok()) return Error{Errc::internal, fmt::format("event {}: {}", record.seq, printed.ToString())};
  ++events_;
  return put(std::move(line));
}

Status EventExporter::end() {
  const std::string sum = sum_.hex();
  return sink_(fmt::format("{{\"events\":{},\"sha256\":\"{}\"}}\n", events_, sum));
}

Result<ExportHeader> read_export(std::istream& in, const std::function<Status(const EventRecord&)>& each,
                                 const ExportLimits& limits) {
  Lines lines(in, limits.line);
  Sha256 sum;
  std::string line;
  FATHOM_ASSIGN(const bool any, lines.next(line));
  if (!any) return Error{Errc::corrupt, "the export is empty"};
  FATHOM_ASSIGN(ExportHeader header, read_header(lines, line));
  sum.update(line + '\n');
  for (std::uint64_t seq = 1;; ++seq) {
    FATHOM_ASSIGN(const bool more, lines.next(line));
    if (!more) return lines.wrong("is missing: the export was cut off before its last line");
    if (is_end(line)) {
      const json end = json::parse(line, nullptr, false);
      if (!end.is_object()) return lines.wrong("is no JSON object");
      FATHOM_TRY(check_end(lines, end, seq - 1, sum.hex()));
      return header;
    }
    FATHOM_ASSIGN(const EventRecord record, read_event(lines, line, seq));
    FATHOM_TRY(each(record));
    sum.update(line + '\n');
  }
}

}  // namespace fathom::store
