// Between the wire's messages and the core's plain values. What a worker sends is checked here: counts, lengths, names,
// so that nothing unbounded or unprintable reaches the core. Thread: free functions without state.
#pragma once

#include <vector>

#include "common/result.hpp"
#include "coordinator/core/command.hpp"
#include "coordinator/core/effect.hpp"
#include "coordinator/store/metric_store.hpp"

namespace fathom::wire {
class Checkpoint;
class Envelope;
class Fence;
class Heartbeat;
class Hello;
class Item;
class MetricBatch;
}  // namespace fathom::wire

namespace fathom::api {

// invalid_argument: no device, more than 256, two of one name, a slot count outside 1..1024, or a text that is too
// long.
Result<core::WorkerHello> hello_from_wire(const wire::Hello& hello);
core::Heartbeat heartbeat_from_wire(const wire::Heartbeat& heartbeat, WorkerNumber worker);
// invalid_argument: no payload, or a file whose hash or path is none.
Result<core::ItemReceived> item_from_wire(const wire::Item& item, WorkerNumber worker);
store::MetricBatch metrics_from_wire(const wire::MetricBatch& batch);

// The files that an item names: what the artifact store must have before the core sees it.
std::vector<core::File> files_of(const core::Item& item);

// SendAssign, SendStop and SendAck as the frame that carries them.
void fill_envelope(const core::SendAssign& assign, wire::Envelope& envelope);
void fill_envelope(const core::SendStop& stop, wire::Envelope& envelope);
void fill_envelope(const core::SendAck& ack, wire::Envelope& envelope);

}  // namespace fathom::api
