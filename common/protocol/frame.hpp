// Frames: how one wire::Envelope travels on a byte stream, the same on TLS and on the socketpair to a trainer.
//
//   offset  size  what
//   0       4     magic "FTHM"
//   4       1     version, 1
//   5       3     zero
//   8       4     length of the body, little-endian, at most 4 MiB
//   12      N     wire::Envelope, protobuf
//
// Errors: Errc::corrupt for wrong magic, reserved bytes, an oversize length or a body that is no Envelope,
// Errc::unsupported for another version, Errc::invalid_argument for an Envelope too large to send. A stream that gave
// an error cannot be used any more: close it. Nothing is allocated for a length that is refused. Include
// "common/protocol/wire.pb.h" where Envelope's members are used.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/result.hpp"

namespace fathom::wire {
class Envelope;
}

namespace fathom {

inline constexpr std::size_t kFrameHeaderSize = 12;              // bytes
inline constexpr std::size_t kFrameBodyLimit = 4 * 1024 * 1024;  // bytes
inline constexpr std::size_t kChunkSize = 1024 * 1024;           // bytes of a file in one ArtifactChunk
inline constexpr std::uint8_t kFrameVersion = 1;
inline constexpr std::uint32_t kProtocolVersion = 1;  // Hello.protocol, TrainerHello.protocol

// The whole frame as bytes.
[[nodiscard]] Result<std::string> encode_frame(const wire::Envelope& envelope);
// The same, appended to `out`; `out` is unchanged on an error.
[[nodiscard]] Status append_frame(const wire::Envelope& envelope, std::string& out);

// For readers that read header and body apart. `header` has kFrameHeaderSize bytes; the answer is the body's length.
[[nodiscard]] Result<std::uint32_t> parse_frame_header(std::string_view header);
[[nodiscard]] Result<wire::Envelope> parse_frame_body(std::string_view body);

// Takes bytes as they come and gives Envelopes. Thread: one at a time. Holds at most one frame and what was fed last.
class FrameDecoder {
 public:
  void feed(std::string_view bytes);
  // The next whole Envelope; nullopt: more bytes are needed. After an error every later call gives the same error.
  [[nodiscard]] Result<std::optional<wire::Envelope>> next();
  // Bytes fed and not yet given out; 0 at a clean end of the stream.
  [[nodiscard]] std::size_t pending() const { return buffer_.size() - begin_; }

 private:
  std::string buffer_;
  std::size_t begin_ = 0;
  std::optional<Error> failed_;
};

}  // namespace fathom
