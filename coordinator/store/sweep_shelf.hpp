// The shelf of a coordinator: a file without a name, gone with the process. Plans are expanded again from the log.
// Thread: that of the State that uses it. Failure: what the disk says; nothing of it is lost with the file.
#pragma once

#include <filesystem>
#include <memory>

#include "coordinator/core/shelf.hpp"
#include "coordinator/store/event_store.hpp"

namespace fathom::store {

// The plan of the sweep that this event submitted, expanded again. corrupt: it is no submit, or there is none.
Result<std::shared_ptr<const sweeps::Plan>> plan_of(EventStore& events, std::uint64_t submitted);

// In `folder`; empty: in memory, for tests. `events` outlives it.
Result<std::shared_ptr<core::Shelf>> open_sweep_shelf(const std::filesystem::path& folder, EventStore& events);

}  // namespace fathom::store
