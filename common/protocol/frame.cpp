#include "common/protocol/frame.hpp"

#include <fmt/format.h>

#include <cstring>

#include "common/protocol/wire.pb.h"

namespace fathom {
namespace {

constexpr std::string_view kMagic = "FTHM";

void append_header(std::size_t length, std::string& out) {
  out.append(kMagic);
  out.push_back(static_cast<char>(kFrameVersion));
  out.append(3, '\0');
  for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<char>((length >> shift) & 0xff));
}

std::uint8_t byte_at(std::string_view bytes, std::size_t index) { return static_cast<std::uint8_t>(bytes[index]); }

}  // namespace

Status append_frame(const wire::Envelope& envelope, std::string& out) {
  const std::size_t length = envelope.ByteSizeLong();
  if (length > kFrameBodyLimit) {
    return Error{
        Errc::invalid_argument,
        fmt::format("a message of {} bytes is larger than the limit of {} bytes a frame", length, kFrameBodyLimit)};
  }
  const std::size_t start = out.size();
  append_header(length, out);
  if (!envelope.AppendToString(&out)) {
    out.resize(start);
    return Error{Errc::internal, "a message could not be encoded"};
  }
  return success();
}

Result<std::string> encode_frame(const wire::Envelope& envelope) {
  std::string out;
  FATHOM_TRY(append_frame(envelope, out));
  return out;
}

Result<std::uint32_t> parse_frame_header(std::string_view header) {
  if (header.size() < kFrameHeaderSize) return Error{Errc::corrupt, "a frame's header is shorter than 12 bytes"};
  if (header.substr(0, 4) != kMagic) {
    return Error{Errc::corrupt, "the peer does not speak Fathom's protocol (a frame starts with FTHM)"};
  }
  if (byte_at(header, 4) != kFrameVersion) {
    return Error{Errc::unsupported, fmt::format("the peer sends frames of version {}, this program knows version {}",
                                                byte_at(header, 4), kFrameVersion)};
  }
  if (header[5] != 0 || header[6] != 0 || header[7] != 0) {
    return Error{Errc::corrupt, "a frame's reserved bytes are not zero"};
  }
  std::uint32_t length = 0;
  for (int index = 3; index >= 0; --index)
    length = (length << 8) | byte_at(header, 8 + static_cast<std::size_t>(index));
  if (length > kFrameBodyLimit) {
    return Error{Errc::corrupt, fmt::format("a frame says it has {} bytes; the limit is {}", length, kFrameBodyLimit)};
  }
  return length;
}

Result<wire::Envelope> parse_frame_body(std::string_view body) {
  wire::Envelope envelope;
  if (!envelope.ParseFromArray(body.data(), static_cast<int>(body.size()))) {
    return Error{Errc::corrupt, "a frame's body is not a Fathom message"};
  }
  return envelope;
}

void FrameDecoder::feed(std::string_view bytes) {
  if (failed_) return;
  // What was given out is dropped before the buffer grows, so that it never holds more than a frame and one feed.
  if (begin_ > 0) {
    buffer_.erase(0, begin_);
    begin_ = 0;
  }
  buffer_.append(bytes);
}

Result<std::optional<wire::Envelope>> FrameDecoder::next() {
  if (failed_) return *failed_;
  const std::string_view rest = std::string_view(buffer_).substr(begin_);
  if (rest.size() < kFrameHeaderSize) return std::optional<wire::Envelope>();
  auto length = parse_frame_header(rest.substr(0, kFrameHeaderSize));
  if (!length) {
    failed_ = length.error();
    return *failed_;
  }
  if (rest.size() < kFrameHeaderSize + *length) return std::optional<wire::Envelope>();
  auto envelope = parse_frame_body(rest.substr(kFrameHeaderSize, *length));
  if (!envelope) {
    failed_ = envelope.error();
    return *failed_;
  }
  begin_ += kFrameHeaderSize + *length;
  return std::optional<wire::Envelope>(std::move(envelope).value());
}

}  // namespace fathom
