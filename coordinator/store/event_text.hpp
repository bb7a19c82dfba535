// One sentence about an event, for people who read a job's history.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace fathom::event {
class Event;
}

namespace fathom::store {

// The event's name in snake_case: lease_granted, job_finished, …
std::string type_of(const event::Event& event);

// `worker` names a worker by its number, `job` gives a job's id by its number. Thread: pure.
struct EventNames {
  std::function<std::string(std::uint32_t)> worker;
  std::function<std::string(std::uint64_t)> job;
};
std::string text_of(const event::Event& event, const EventNames& names);

}  // namespace fathom::store
