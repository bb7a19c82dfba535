#include "worker/outbox.hpp"

#include <algorithm>
#include <limits>

#include "common/protocol/fences.hpp"
#include "common/protocol/wire.pb.h"

namespace fathom::worker {
namespace {

constexpr std::uint64_t kAlways = std::numeric_limits<std::uint64_t>::max();
constexpr std::size_t kBatchBytes = 512 * 1024;  // of items in one frame, well below the frame's limit

}  // namespace

void Outbox::push(Queue& queue, std::uint64_t last, std::string payload) {
  queue.bytes += payload.size();
  queue.next = std::max(queue.next, last);
  queue.waiting.push_back({last, std::move(payload)});
}

SpoolRecord Outbox::add_item(wire::Item& item, std::uint64_t& sequence) {
  sequence = items_.next + 1;
  *item.mutable_fence() = to_wire(fence_);
  item.set_sequence(sequence);
  SpoolRecord record{SpoolKind::item, item.SerializeAsString()};
  push(items_, sequence, record.payload);
  return record;
}

SpoolRecord Outbox::add_metrics(wire::MetricBatch& batch) {
  *batch.mutable_fence() = to_wire(fence_);
  batch.set_first_sequence(metrics_.next + 1);
  SpoolRecord record{SpoolKind::metrics, batch.SerializeAsString()};
  push(metrics_, metrics_.next + static_cast<std::uint64_t>(batch.points_size()), record.payload);
  drop_beyond(metrics_, limits_.metrics);
  return record;
}

SpoolRecord Outbox::add_log(std::string_view text) {
  wire::LogChunk chunk;
  *chunk.mutable_fence() = to_wire(fence_);
  chunk.set_offset(log_.next);
  chunk.set_text(text.data(), text.size());
  SpoolRecord record{SpoolKind::log, chunk.SerializeAsString()};
  push(log_, log_.next + text.size(), record.payload);
  drop_beyond(log_, limits_.log);
  return record;
}

void Outbox::restore(const SpoolRecord& record) {
  wire::Item item;
  wire::MetricBatch batch;
  wire::LogChunk chunk;
  if (record.kind == SpoolKind::item && item.ParseFromString(record.payload)) {
    push(items_, item.sequence(), record.payload);
    durable_ = items_.next;
  } else if (record.kind == SpoolKind::metrics && batch.ParseFromString(record.payload)) {
    push(metrics_, batch.first_sequence() + static_cast<std::uint64_t>(batch.points_size()) - 1, record.payload);
    drop_beyond(metrics_, limits_.metrics);
  } else if (record.kind == SpoolKind::log && chunk.ParseFromString(record.payload)) {
    push(log_, chunk.offset() + chunk.text().size(), record.payload);
    drop_beyond(log_, limits_.log);
  }
}

void Outbox::durable(std::uint64_t sequence) { durable_ = std::max(durable_, sequence); }

void Outbox::drop_beyond(Queue& queue, std::uint64_t limit) {
  while (queue.bytes > limit && queue.waiting.size() > 1) {
    ++dropped_;
    acknowledge(queue, queue.waiting.front().last);
  }
}

const Outbox::Message* Outbox::next(Queue& queue, std::uint64_t durable_to) {
  if (queue.sent == queue.waiting.size()) return nullptr;
  const Message& message = queue.waiting[queue.sent];
  if (message.last > durable_to) return nullptr;
  // One message always may go, or a large one would wait for ever.
  if (queue.sent > 0 && queue.flight_bytes + message.payload.size() > limits_.in_flight) return nullptr;
  ++queue.sent;
  queue.flight_bytes += message.payload.size();
  return &message;
}

void Outbox::take_items(std::vector<wire::Envelope>& out, std::size_t& bytes) {
  while (const Message* message = next(items_, durable_)) {
    if (out.empty() || !out.back().has_items() || bytes + message->payload.size() > kBatchBytes) {
      out.emplace_back();
      bytes = 0;
    }
    bytes += message->payload.size();
    out.back().mutable_items()->add_items()->ParseFromString(message->payload);
  }
}

void Outbox::take_rest(std::vector<wire::Envelope>& out) {
  while (const Message* message = next(metrics_, kAlways)) {
    out.emplace_back().mutable_metrics()->ParseFromString(message->payload);
  }
  while (const Message* message = next(log_, kAlways))
    out.emplace_back().mutable_log()->ParseFromString(message->payload);
}

std::vector<wire::Envelope> Outbox::take() {
  std::vector<wire::Envelope> out;
  std::size_t bytes = 0;
  take_items(out, bytes);
  take_rest(out);
  return out;
}

void Outbox::rewind() {
  for (Queue* queue : {&items_, &metrics_, &log_}) {
    queue->sent = 0;
    queue->flight_bytes = 0;
  }
}

void Outbox::acknowledge(Queue& queue, std::uint64_t last) {
  while (!queue.waiting.empty() && queue.waiting.front().last <= last) {
    const std::uint64_t size = queue.waiting.front().payload.size();
    queue.bytes -= size;
    stale_ += size;
    if (queue.sent > 0) {
      --queue.sent;
      queue.flight_bytes -= size;
    }
    queue.waiting.pop_front();
  }
}

void Outbox::ack_items(std::uint64_t sequence) { acknowledge(items_, sequence); }
void Outbox::ack_metrics(std::uint64_t last_sequence) { acknowledge(metrics_, last_sequence); }
void Outbox::ack_log(std::uint64_t offset) { acknowledge(log_, offset); }

std::vector<SpoolRecord> Outbox::compact() {
  std::vector<SpoolRecord> records;
  for (const Message& message : items_.waiting) records.push_back({SpoolKind::item, message.payload});
  for (const Message& message : metrics_.waiting) records.push_back({SpoolKind::metrics, message.payload});
  for (const Message& message : log_.waiting) records.push_back({SpoolKind::log, message.payload});
  stale_ = 0;
  return records;
}

}  // namespace fathom::worker
