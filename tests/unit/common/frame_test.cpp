// Frames on a byte stream: what goes in comes out whatever the cuts, and what is wrong is refused early.
#include "common/protocol/frame.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <random>
#include <thread>

#include "common/protocol/channel.hpp"
#include "common/protocol/fences.hpp"
#include "common/protocol/wire.pb.h"

namespace fathom {
namespace {

wire::Envelope heartbeat(std::uint64_t number) {
  wire::Envelope envelope;
  envelope.mutable_heartbeat()->set_number(number);
  return envelope;
}

std::string header_with(std::string_view magic, int version, std::uint32_t length) {
  std::string out(magic);
  out.push_back(static_cast<char>(version));
  out.append(3, '\0');
  for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<char>((length >> shift) & 0xff));
  return out;
}

TEST(Frame, LayoutIsTheDocumentedOne) {
  const auto frame = encode_frame(heartbeat(7));
  ASSERT_TRUE(frame.ok());
  EXPECT_EQ(frame->substr(0, 4), "FTHM");
  EXPECT_EQ((*frame)[4], 1);
  EXPECT_EQ(frame->substr(5, 3), std::string(3, '\0'));
  const auto length = parse_frame_header(frame->substr(0, kFrameHeaderSize));
  ASSERT_TRUE(length.ok());
  EXPECT_EQ(*length, frame->size() - kFrameHeaderSize);
}

TEST(Frame, AnyCutOfTheStreamGivesTheSameEnvelopes) {
  std::string stream;
  for (std::uint64_t number = 1; number <= 40; ++number) {
    wire::Envelope envelope = heartbeat(number);
    for (std::uint64_t held = 0; held < number * 13; ++held)
      envelope.mutable_heartbeat()->add_held()->set_running(true);
    ASSERT_TRUE(append_frame(envelope, stream).ok());
  }
  std::mt19937 random(3);
  for (int round = 0; round < 20; ++round) {
    FrameDecoder decoder;
    std::uint64_t expected = 1;
    for (std::size_t at = 0; at < stream.size();) {
      const std::size_t count = std::min<std::size_t>(1 + random() % 97, stream.size() - at);
      decoder.feed(std::string_view(stream).substr(at, count));
      at += count;
      for (;;) {
        auto next = decoder.next();
        ASSERT_TRUE(next.ok());
        if (!next->has_value()) break;
        EXPECT_EQ((*next)->heartbeat().number(), expected);
        EXPECT_EQ((*next)->heartbeat().held_size(), static_cast<int>(expected * 13));
        ++expected;
      }
    }
    EXPECT_EQ(expected, 41u);
    EXPECT_EQ(decoder.pending(), 0u);
  }
}

TEST(Frame, WrongMagicVersionReservedAndLengthAreRefusedFromTheHeaderAlone) {
  const struct {
    std::string bytes;
    Errc code;
  } cases[] = {
      {"GET / HTTP/1.1\r\n", Errc::corrupt},
      {header_with("FTHM", 2, 0), Errc::unsupported},
      {header_with("FTHM", 1, 0xffffffffu), Errc::corrupt},
      {header_with("FTHM", 1, kFrameBodyLimit + 1), Errc::corrupt},
      {std::string("FTHM\x01\x00\x01\x00\x00\x00\x00\x00", 12), Errc::corrupt},
  };
  for (const auto& bad : cases) {
    FrameDecoder decoder;
    decoder.feed(bad.bytes);
    const auto first = decoder.next();
    ASSERT_FALSE(first.ok());
    EXPECT_EQ(first.error().code, bad.code);
    decoder.feed(encode_frame(heartbeat(1)).value());
    EXPECT_FALSE(decoder.next().ok()) << "a broken stream does not recover";
  }
}

TEST(Frame, BodyThatIsNoEnvelopeIsRefused) {
  FrameDecoder decoder;
  decoder.feed(header_with("FTHM", 1, 3) + "\xff\xff\xff");
  const auto next = decoder.next();
  ASSERT_FALSE(next.ok());
  EXPECT_EQ(next.error().code, Errc::corrupt);
}

TEST(Frame, TooLargeAnEnvelopeIsNotSent) {
  wire::Envelope envelope;
  envelope.mutable_artifact_chunk()->set_data(std::string(kFrameBodyLimit + 1, 'x'));
  std::string out = "before";
  EXPECT_FALSE(append_frame(envelope, out).ok());
  EXPECT_EQ(out, "before");
}

TEST(Frame, RandomBytesNeverCrash) {
  std::mt19937 random(11);
  for (int round = 0; round < 2000; ++round) {
    std::string bytes = header_with("FTHM", 1, random() % 64);
    for (int index = 0; index < 80; ++index) bytes.push_back(static_cast<char>(random()));
    if (round % 3 == 0) bytes[random() % bytes.size()] ^= static_cast<char>(1 + random() % 255);
    FrameDecoder decoder;
    decoder.feed(bytes);
    for (int step = 0; step < 4; ++step) {
      const auto next = decoder.next();
      if (!next.ok() || !next->has_value()) break;
    }
  }
}

TEST(Fences, RoundTrip) {
  const Fence fence{JobNumber(12), 2, 3, LeaseId(99)};
  EXPECT_EQ(from_wire(to_wire(fence)), fence);
  EXPECT_EQ(describe(fence), "12/2-3");
}

TEST(FrameChannel, ManyWritersOneReader) {
  const auto ends = make_socket_pair();
  ASSERT_TRUE(ends.ok());
  FrameChannel left(ends->ours);
  FrameChannel right(ends->theirs);
  std::vector<std::thread> writers;
  for (std::uint64_t writer = 0; writer < 4; ++writer) {
    writers.emplace_back([&left, writer] {
      for (std::uint64_t index = 0; index < 200; ++index) {
        wire::Envelope envelope = heartbeat(writer * 1000 + index);
        for (int held = 0; held < 50; ++held) envelope.mutable_heartbeat()->add_held()->set_running(true);
        ASSERT_TRUE(left.send(envelope).ok());
      }
    });
  }
  std::array<std::uint64_t, 4> seen{};
  for (int count = 0; count < 800; ++count) {
    auto next = right.receive(std::chrono::seconds(10));
    ASSERT_TRUE(next.ok() && next->has_value());
    const std::uint64_t number = (*next)->heartbeat().number();
    EXPECT_EQ(number % 1000, seen[number / 1000]++) << "the order of one writer is kept";
  }
  for (auto& writer : writers) writer.join();
}

TEST(FrameChannel, TimeoutAndEndOfStream) {
  const auto ends = make_socket_pair();
  ASSERT_TRUE(ends.ok());
  FrameChannel left(ends->ours);
  {
    FrameChannel right(ends->theirs);
    const auto nothing = left.receive(Millis(5));
    ASSERT_TRUE(nothing.ok());
    EXPECT_FALSE(nothing->has_value());
  }
  const auto gone = left.receive(Millis(1000));
  ASSERT_FALSE(gone.ok());
  EXPECT_EQ(gone.error().code, Errc::unavailable);
  EXPECT_FALSE(left.send(heartbeat(1)).ok());
}

TEST(FrameChannel, APeerThatDoesNotReadBreaksTheChannelAfterTheTimeout) {
  const auto ends = make_socket_pair();
  ASSERT_TRUE(ends.ok());
  FrameChannel left(ends->ours);
  FrameChannel right(ends->theirs);
  wire::Envelope large;
  large.mutable_artifact_chunk()->set_data(std::string(kChunkSize, 'x'));
  const auto sent = left.send(large, Millis(30));
  ASSERT_FALSE(sent.ok());
  EXPECT_EQ(sent.error().code, Errc::unavailable);
}

}  // namespace
}  // namespace fathom
