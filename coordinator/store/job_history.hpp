// What happened to a job, as the tables keep it: for each of its events a letter and the event's number, one after the
// other ("g12s15r18e21"). What an event says is read from the log when somebody asks. Pure; thread: any.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "coordinator/store/event_text.hpp"

namespace fathom::store {

enum class Step : char { granted = 'g', started = 's', report = 'r', end = 'e', other = 'o' };

// `end`: of an attempt, however it ended.
Step step_of(const event::Event& event);

struct HistoryEntry {
  Step step = Step::other;
  std::uint64_t seq = 0;
};
void add_to_history(std::string& history, const HistoryEntry& entry);
std::vector<HistoryEntry> parse_history(std::string_view history);

// The events that attempts_of() needs: of reports only each attempt's last.
std::vector<std::uint64_t> attempt_seqs(const std::vector<HistoryEntry>& history);
// "attempts" of docs/protocol.md, from these events in their order.
nlohmann::json attempts_of(const std::vector<event::Event>& events, const EventNames& names);

}  // namespace fathom::store
