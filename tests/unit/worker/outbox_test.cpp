// The outbox: numbers, windows, acknowledgements and what is sent again.
#include "worker/outbox.hpp"

#include <gtest/gtest.h>

#include "common/protocol/wire.pb.h"

namespace fathom::worker {
namespace {

const Fence kFence{JobNumber(5), 2, 1, LeaseId(8)};

wire::Item report(std::uint32_t epoch) {
  wire::Item item;
  item.mutable_report()->set_epoch(epoch);
  return item;
}

std::uint64_t add(Outbox& outbox, std::uint32_t epoch) {
  std::uint64_t sequence = 0;
  wire::Item item = report(epoch);
  const SpoolRecord record = outbox.add_item(item, sequence);
  EXPECT_EQ(record.kind, SpoolKind::item);
  return sequence;
}

wire::MetricBatch points(int count, std::size_t name_size = 10) {
  wire::MetricBatch batch;
  for (int index = 0; index < count; ++index) batch.add_points()->set_name(std::string(name_size, 'n'));
  return batch;
}

TEST(Outbox, ItemsOfSeveralAttemptsShareAMessage) {
  Outbox one(kFence), other({JobNumber(6), 1, 1, LeaseId(9)});
  for (Outbox* outbox : {&one, &other}) outbox->durable(add(*outbox, 1));
  std::vector<wire::Envelope> out;
  std::size_t bytes = 0;
  one.take_items(out, bytes);
  other.take_items(out, bytes);
  ASSERT_EQ(out.size(), 1u);
  ASSERT_EQ(out[0].items().items_size(), 2);
  EXPECT_EQ(out[0].items().items(0).fence().job(), 5u);
  EXPECT_EQ(out[0].items().items(1).fence().job(), 6u);
  bytes = 600 * 1024;
  other.durable(add(other, 2));
  other.take_items(out, bytes);
  EXPECT_EQ(out.size(), 2u) << "a message that is large enough takes no more";
}

TEST(Outbox, ItemsAreNumberedFencedAndWaitForTheDisk) {
  Outbox outbox(kFence);
  EXPECT_EQ(add(outbox, 1), 1u);
  EXPECT_EQ(add(outbox, 2), 2u);
  EXPECT_TRUE(outbox.take().empty()) << "nothing leaves before it is durable";
  outbox.durable(1);
  auto sent = outbox.take();
  ASSERT_EQ(sent.size(), 1u);
  ASSERT_EQ(sent[0].items().items_size(), 1);
  EXPECT_EQ(sent[0].items().items(0).sequence(), 1u);
  EXPECT_EQ(sent[0].items().items(0).fence().lease(), 8u);
  EXPECT_EQ(sent[0].items().items(0).report().epoch(), 1u);
  outbox.durable(2);
  EXPECT_EQ(outbox.take()[0].items().items(0).sequence(), 2u);
  EXPECT_TRUE(outbox.take().empty());
}

TEST(Outbox, RewindSendsEverythingUnacknowledgedAgainInOrder) {
  Outbox outbox(kFence);
  for (std::uint32_t epoch = 1; epoch <= 4; ++epoch) add(outbox, epoch);
  outbox.durable(4);
  EXPECT_EQ(outbox.take()[0].items().items_size(), 4);
  outbox.ack_items(2);
  outbox.rewind();
  const auto again = outbox.take();
  ASSERT_EQ(again.size(), 1u);
  ASSERT_EQ(again[0].items().items_size(), 2);
  EXPECT_EQ(again[0].items().items(0).sequence(), 3u);
  outbox.ack_items(4);
  EXPECT_TRUE(outbox.empty());
}

TEST(Outbox, MetricsAreNumberedByPointAndLogByByte) {
  Outbox outbox(kFence);
  auto first = points(3);
  auto second = points(2);
  (void)outbox.add_metrics(first);
  (void)outbox.add_metrics(second);
  (void)outbox.add_log("hello\n");
  (void)outbox.add_log("you\n");
  EXPECT_EQ(first.first_sequence(), 1u);
  EXPECT_EQ(second.first_sequence(), 4u);
  const auto sent = outbox.take();
  ASSERT_EQ(sent.size(), 4u);
  EXPECT_EQ(sent[3].log().offset(), 6u);
  outbox.ack_metrics(5);
  outbox.ack_log(6);
  EXPECT_FALSE(outbox.empty());
  outbox.ack_log(10);
  EXPECT_TRUE(outbox.empty());
}

TEST(Outbox, BeyondTheBoundTheOldestMetricsGoAndItemsNever) {
  OutboxLimits limits;
  limits.metrics = 2000;
  Outbox outbox(kFence, limits);
  for (int index = 0; index < 100; ++index) {
    auto batch = points(2, 30);
    (void)outbox.add_metrics(batch);
    add(outbox, 1);
  }
  outbox.durable(100);
  EXPECT_GT(outbox.dropped(), 50u);
  std::uint64_t items = 0;
  std::uint64_t last = 0;
  for (const auto& envelope : outbox.take()) {
    items += static_cast<std::uint64_t>(envelope.items().items_size());
    if (envelope.has_metrics()) last = envelope.metrics().first_sequence() + 1;
  }
  EXPECT_EQ(items, 100u);
  EXPECT_EQ(last, 200u) << "the newest points are kept";
}

TEST(Outbox, TheWindowHoldsBackUntilAcknowledged) {
  OutboxLimits limits;
  limits.in_flight = 500;
  Outbox outbox(kFence, limits);
  for (int index = 0; index < 50; ++index) {
    auto batch = points(1, 100);
    (void)outbox.add_metrics(batch);
  }
  std::size_t total = 0;
  for (int round = 0; round < 50 && total < 50; ++round) {
    const auto sent = outbox.take();
    EXPECT_LE(sent.size(), 5u);
    ASSERT_FALSE(sent.empty());
    total += sent.size();
    outbox.ack_metrics(total);
  }
  EXPECT_EQ(total, 50u);
}

TEST(Outbox, CompactAndRestoreGiveTheSameMessages) {
  Outbox outbox(kFence);
  for (std::uint32_t epoch = 1; epoch <= 3; ++epoch) add(outbox, epoch);
  auto batch = points(2);
  (void)outbox.add_metrics(batch);
  (void)outbox.add_log("text\n");
  outbox.ack_items(1);
  Outbox restored(kFence);
  for (const SpoolRecord& record : outbox.compact()) restored.restore(record);
  const auto sent = restored.take();
  ASSERT_EQ(sent.size(), 3u);
  EXPECT_EQ(sent[0].items().items_size(), 2);
  EXPECT_EQ(sent[0].items().items(0).sequence(), 2u);
  EXPECT_EQ(sent[1].metrics().points_size(), 2);
  EXPECT_EQ(sent[2].log().text(), "text\n");
}

}  // namespace
}  // namespace fathom::worker
