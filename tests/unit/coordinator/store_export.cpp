// The log as a text file: what is read back is what was written, and nothing that was cut or changed is taken.
#include <gtest/gtest.h>

#include <sstream>

#include "coordinator/core/event.pb.h"
#include "coordinator/store/event_export.hpp"
#include "coordinator/store/network_fs.hpp"

namespace fathom::store {
namespace {

std::vector<EventRecord> some_events() {
  std::vector<EventRecord> records;
  for (std::uint64_t seq = 1; seq <= 4; ++seq) {
    event::Event event;
    event.set_seq(seq);
    event.set_version(1);
    event.set_wall_ms(1'700'000'000'123 + static_cast<std::int64_t>(seq));
    if (seq == 1) event.mutable_coordinator_started()->set_epoch(1);
    if (seq == 2) event.mutable_sweep_cancel_requested()->set_cause("\"quoted\"\nü \x01");
    if (seq == 3) event.mutable_job_finished()->set_objective(0.1 + 0.2);
    if (seq == 4) event.mutable_job_finished()->set_objective(std::numeric_limits<double>::infinity());
    records.push_back({seq, event.SerializeAsString()});
  }
  return records;
}

std::string exported(const std::vector<EventRecord>& records) {
  std::string text;
  EventExporter exporter([&](std::string_view bytes) {
    text += bytes;
    return success();
  });
  EXPECT_TRUE(exporter.begin({"log-1", "0.1.0"}).ok());
  for (const EventRecord& record : records) EXPECT_TRUE(exporter.add(record).ok());
  EXPECT_TRUE(exporter.end().ok());
  return text;
}

Result<std::vector<EventRecord>> taken(const std::string& text, const ExportLimits& limits = {}) {
  std::istringstream in(text);
  std::vector<EventRecord> records;
  const auto header = read_export(
      in,
      [&](const EventRecord& record) {
        records.push_back(record);
        return success();
      },
      limits);
  if (!header) return header.error();
  EXPECT_EQ(header->log, "log-1");
  EXPECT_EQ(header->program, "0.1.0");
  return records;
}

std::string refusal(const std::string& text, Errc code = Errc::corrupt, const ExportLimits& limits = {}) {
  const auto read = taken(text, limits);
  EXPECT_FALSE(read.ok());
  if (read) return {};
  EXPECT_EQ(read.error().code, code);
  return read.error().message;
}

TEST(EventExport, GivesBackEveryBitOfEveryEvent) {
  const auto records = some_events();
  const auto back = taken(exported(records));
  ASSERT_TRUE(back.ok()) << back.error().message;
  ASSERT_EQ(back->size(), records.size());
  for (std::size_t i = 0; i < records.size(); ++i) {
    EXPECT_EQ((*back)[i].seq, records[i].seq);
    EXPECT_EQ((*back)[i].bytes, records[i].bytes);
  }
}

TEST(EventExport, AnEmptyLogIsAnExportToo) { EXPECT_TRUE(taken(exported({})).ok()); }

TEST(EventExport, EveryCutIsNoticed) {
  const std::string text = exported(some_events());
  for (std::size_t length = 0; length < text.size(); ++length) {
    EXPECT_FALSE(taken(text.substr(0, length)).ok()) << length << " of " << text.size() << " bytes";
  }
}

TEST(EventExport, EveryChangedByteIsNoticed) {
  const std::string text = exported(some_events());
  for (std::size_t at = 0; at < text.size(); ++at) {
    std::string changed = text;
    changed[at] = changed[at] == '7' ? '8' : '7';
    EXPECT_FALSE(taken(changed).ok()) << "byte " << at;
  }
}

TEST(EventExport, SaysWhichLineIsWrong) {
  auto records = some_events();
  records.erase(records.begin() + 1);
  EXPECT_EQ(refusal(exported(records)), "line 3 holds event 3 where 2 belongs");
  EXPECT_EQ(refusal(exported(some_events()) + "{}\n"), "line 7 stands after the end of the export");
  EXPECT_EQ(refusal("hello\n"), "line 1 is not the head of an export (\"format\":\"fathom-events\")");
  EXPECT_EQ(refusal(""), "the export is empty");
  EXPECT_EQ(refusal(exported(some_events()), Errc::corrupt, {.line = 20}), "line 1 is longer than 0 MiB");
}

TEST(EventExport, ANewerFormatIsRefusedPolitely) {
  std::string text = exported(some_events());
  text.replace(text.find("\"version\":1"), 11, "\"version\":2");
  EXPECT_EQ(refusal(text, Errc::unsupported), "the export has format 2, this build reads 1: use a newer fathom");
}

// SQLite's locks are not to be trusted there (statfs(2) names the numbers).
TEST(NetworkFileSystem, IsKnownByItsNumber) {
  EXPECT_EQ(network_file_system(0x6969), "NFS");
  EXPECT_EQ(network_file_system(0xFF534D42), "CIFS");
  EXPECT_EQ(network_file_system(0xEF53), std::nullopt);  // ext4
  EXPECT_TRUE(refuse_network_file_system("/tmp/not/there/yet").ok());
}

}  // namespace
}  // namespace fathom::store
