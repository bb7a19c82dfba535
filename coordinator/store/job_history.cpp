#include "coordinator/store/job_history.hpp"

#include <charconv>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "coordinator/core/event.pb.h"

namespace fathom::store {
namespace {

using E = event::Event;
using nlohmann::json;

json begun(const event::Event& event, const EventNames& names) {
  const auto& e = event.lease_granted();
  return {{"generation", e.fence().generation()},
          {"attempt", e.fence().attempt()},
          {"worker", names.worker(e.worker())},
          {"device", e.device()},
          {"granted", event.wall_ms()},
          {"started", nullptr},
          {"ended", nullptr},
          {"outcome", "leased"},
          {"text", ""},
          {"resumed_epoch", 0},
          {"epoch", 0},
          {"data_sha256", ""},
          {"base_sha256", ""}};
}

void start(const event::Event& event, json& attempt) {
  const auto& e = event.job_started();
  attempt["started"] = event.wall_ms();
  attempt["outcome"] = "running";
  attempt["resumed_epoch"] = e.resumed_epoch();
  attempt["data_sha256"] = e.data_sha256();
  attempt["base_sha256"] = e.base_sha256();
}

void end(const event::Event& event, json& attempt) {
  const auto told = [&](const char* outcome, const std::string& text) {
    attempt["outcome"] = outcome;
    attempt["text"] = text;
  };
  attempt["ended"] = event.wall_ms();
  switch (event.payload_case()) {
    case E::kJobFinished:
      return told("succeeded", "");
    case E::kJobStopped:
      return told("stopped", "");
    case E::kJobFailed:
      return told("failed", fmt::format("{}: {}", event.job_failed().error_class(), event.job_failed().message()));
    case E::kJobBackedOff:
      return told("failed",
                  fmt::format("{}: {}", event.job_backed_off().error_class(), event.job_backed_off().message()));
    case E::kLeaseExpired:
      return told("expired", "its worker was not heard of in time");
    default:
      return told("released", event.lease_released().why());
  }
}

}  // namespace

Step step_of(const event::Event& event) {
  switch (event.payload_case()) {
    case E::kLeaseGranted:
      return Step::granted;
    case E::kJobStarted:
      return Step::started;
    case E::kReportRecorded:
      return Step::report;
    case E::kLeaseExpired:
    case E::kLeaseReleased:
    case E::kJobFinished:
    case E::kJobFailed:
    case E::kJobBackedOff:
    case E::kJobStopped:
      return Step::end;
    default:
      return Step::other;
  }
}

void add_to_history(std::string& history, const HistoryEntry& entry) {
  char text[24] = {static_cast<char>(entry.step)};
  const auto written = std::to_chars(text + 1, text + sizeof text, entry.seq);
  history.append(text, written.ptr);
}

std::vector<HistoryEntry> parse_history(std::string_view history) {
  std::vector<HistoryEntry> entries;
  const char* at = history.data();
  const char* end = at + history.size();
  while (at != end) {
    HistoryEntry entry{static_cast<Step>(*at++), 0};
    const auto [next, error] = std::from_chars(at, end, entry.seq);
    if (error != std::errc()) return entries;
    entries.push_back(entry);
    at = next;
  }
  return entries;
}

std::vector<std::uint64_t> attempt_seqs(const std::vector<HistoryEntry>& history) {
  std::vector<std::uint64_t> seqs;
  std::uint64_t report = 0;
  const auto flush = [&] {
    if (report != 0) seqs.push_back(report);
    report = 0;
  };
  for (const HistoryEntry& entry : history) {
    if (entry.step == Step::report) report = entry.seq;
    if (entry.step == Step::report || entry.step == Step::other) continue;
    flush();
    seqs.push_back(entry.seq);
  }
  flush();
  return seqs;
}

json attempts_of(const std::vector<event::Event>& events, const EventNames& names) {
  json attempts = json::array();
  for (const event::Event& event : events) {
    const Step step = step_of(event);
    if (step == Step::granted) attempts.push_back(begun(event, names));
    if (attempts.empty()) continue;  // the event of its lease cannot be read
    json& newest = attempts.back();
    if (step == Step::started) start(event, newest);
    if (step == Step::report) newest["epoch"] = event.report_recorded().epoch();
    if (step == Step::end && newest["ended"].is_null()) end(event, newest);
  }
  return attempts;
}

}  // namespace fathom::store
