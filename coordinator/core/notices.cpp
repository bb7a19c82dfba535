#include "coordinator/core/notices.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "coordinator/core/transitions.hpp"

namespace fathom::core {
namespace {

using nlohmann::json;

std::string count_text(std::uint32_t count, const char* what) { return std::to_string(count) + " " + what; }

// By the names that REST uses; states that no job is in are left out.
json counts_of(const Sweep& sweep) {
  json counts = json::object();
  for (std::size_t i = 1; i < kPhases; ++i) {
    if (sweep.counts[i] == 0) continue;
    json& count = counts[name_of(static_cast<Phase>(i))];
    count = (count.is_null() ? 0U : count.get<std::uint32_t>()) + sweep.counts[i];
  }
  return counts;
}

// One sentence: what chat programs show of a message.
std::string text_of(const Sweep& sweep, const Notice& notice, const json& job) {
  if (!job.is_null()) {
    return "Sweep " + sweep.id + ": job " + job.at("id").get<std::string>() +
           " failed: " + job.at("message").get<std::string>();
  }
  std::string text = "Sweep " + sweep.id +
                     (notice.what == "done"     ? " is done"
                      : notice.what == "failed" ? " failed"
                                                : " was cancelled");
  const char* before = ": ";
  const json counts = counts_of(sweep);
  for (const auto& [name, count] : counts.items()) {
    text += before + count_text(count.get<std::uint32_t>(), name.c_str());
    before = ", ";
  }
  if (sweep.cancel_cause) text += " (" + *sweep.cancel_cause + ")";
  return text;
}

// Failed or diverged meanwhile; after a retry its words are gone.
json job_of(const State& state, const Notice& notice) {
  const Job* job = state.job(notice.job);
  if (job == nullptr) return nullptr;
  json out = {{"id", state.planned(*job).id}, {"task", state.planned(*job).task}, {"message", ""}};
  if (const auto* failed = std::get_if<Failed>(&job->state)) {
    out["class"] = failed->error_class.str();
    out["message"] = failed->message.str();
  } else if (const auto* diverged = std::get_if<Diverged>(&job->state)) {
    out["class"] = "diverged";
    out["message"] = diverged->message.str();
  }
  return out;
}

SendNotice message_of(const State& state, std::uint64_t number, const Notice& notice) {
  const Sweep& sweep = *state.sweep(notice.sweep);
  const json job = job_of(state, notice);
  json body = {{"event", notice.what},
               {"id", number},
               {"time_ms", notice.wall_ms},
               {"sweep", {{"id", sweep.id}, {"jobs", sweep.plan->jobs.size()}, {"counts", counts_of(sweep)}}},
               {"text", text_of(sweep, notice, job)}};
  if (!job.is_null()) body["job"] = job;
  // What a trainer said may be in it, in whatever bytes.
  return {number, sweep.plan->notify[notice.hook], body.dump(-1, ' ', false, json::error_handler_t::replace)};
}

}  // namespace

void note(State& state, const Sweep& sweep, const std::string& what, JobNumber job, At at) {
  const auto& hooks = sweep.plan->notify;
  for (std::uint32_t i = 0; i < hooks.size(); ++i) {
    if (std::ranges::find(hooks[i].on, what) == hooks[i].on.end()) continue;
    state.notices.emplace(state.next_notice++, Notice{state.seq + 1, sweep.number, job, what, i, at.wall_ms});
  }
}

Status on(State& state, const event::NoticeSettled& event, At) {
  if (state.notices.erase(event.notice()) == 0)
    return Error{Errc::corrupt, "there is no open message " + std::to_string(event.notice())};
  return success();
}

std::vector<SendNotice> notices_of(const State& state, std::uint64_t seq) {
  std::vector<SendNotice> out;
  for (auto it = state.notices.rbegin(); it != state.notices.rend(); ++it) {
    if (seq != 0 && it->second.seq != seq) break;  // the newest are last
    out.push_back(message_of(state, it->first, it->second));
  }
  std::ranges::reverse(out);
  return out;
}

}  // namespace fathom::core
