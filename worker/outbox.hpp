// What one attempt has to tell the coordinator and is not yet acknowledged: items, metric points, log text. It numbers
// them, remembers what was sent on this connection, and after a reconnect offers all of it again. Payloads are kept as
// the protobuf bytes that are in the spool. Pure; thread: the worker's loop.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "common/ids.hpp"
#include "worker/spool_file.hpp"

namespace fathom::wire {
class Envelope;
class Item;
class MetricBatch;
}  // namespace fathom::wire

namespace fathom::worker {

struct OutboxLimits {
  std::uint64_t metrics = 8u << 20;    // bytes of unacknowledged metric batches; beyond it the oldest are dropped
  std::uint64_t log = 4u << 20;        // bytes of unacknowledged log text
  std::uint64_t in_flight = 1u << 20;  // bytes sent and not acknowledged, for each of the three kinds
};

class Outbox {
 public:
  explicit Outbox(const Fence& fence, OutboxLimits limits = {}) : fence_(fence), limits_(limits) {}

  // Numbers the item with the next sequence and the attempt's fence; not offered until durable().
  SpoolRecord add_item(wire::Item& item, std::uint64_t& sequence);
  SpoolRecord add_metrics(wire::MetricBatch& batch);
  SpoolRecord add_log(std::string_view text);
  // Takes back what an earlier worker spooled; everything in it is durable.
  void restore(const SpoolRecord& record);

  void durable(std::uint64_t sequence);
  // The next messages for the coordinator, as many as the windows allow; they count as sent.
  [[nodiscard]] std::vector<wire::Envelope> take();
  // The same in two parts, so that items of several attempts share a message: those go into the last one of `out`,
  // which has `bytes` of items, as long as there is room.
  void take_items(std::vector<wire::Envelope>& out, std::size_t& bytes);
  void take_rest(std::vector<wire::Envelope>& out);
  // A new connection: everything that is not acknowledged is to be sent again.
  void rewind();

  void ack_items(std::uint64_t sequence);
  void ack_metrics(std::uint64_t last_sequence);
  void ack_log(std::uint64_t offset);

  [[nodiscard]] bool items_empty() const { return items_.waiting.empty(); }
  [[nodiscard]] bool empty() const { return items_empty() && metrics_.waiting.empty() && log_.waiting.empty(); }
  [[nodiscard]] std::uint64_t last_sequence() const { return items_.next; }
  // Metric batches and log chunks lost to the limits.
  [[nodiscard]] std::uint64_t dropped() const { return dropped_; }
  // Bytes acknowledged or dropped since the last compact(): worth rewriting the spool when large.
  [[nodiscard]] std::uint64_t stale_bytes() const { return stale_; }
  // What a spool of just the unacknowledged has to hold.
  [[nodiscard]] std::vector<SpoolRecord> compact();

 private:
  struct Message {
    std::uint64_t last = 0;  // an acknowledgement of this or more covers it
    std::string payload;
  };
  // One kind of message: waiting[0, sent) are in flight.
  struct Queue {
    std::deque<Message> waiting;
    std::size_t sent = 0;
    std::uint64_t next = 0;          // the last number given out (for log text: bytes)
    std::uint64_t bytes = 0;         // of waiting
    std::uint64_t flight_bytes = 0;  // of waiting[0, sent)
  };

  void push(Queue& queue, std::uint64_t last, std::string payload);
  void acknowledge(Queue& queue, std::uint64_t last);
  void drop_beyond(Queue& queue, std::uint64_t limit);
  // The next unsent message if the window and `durable_to` let it go.
  const Message* next(Queue& queue, std::uint64_t durable_to);

  Fence fence_;
  OutboxLimits limits_;
  Queue items_;
  Queue metrics_;
  Queue log_;
  std::uint64_t durable_ = 0;
  std::uint64_t dropped_ = 0;
  std::uint64_t stale_ = 0;
};

}  // namespace fathom::worker
