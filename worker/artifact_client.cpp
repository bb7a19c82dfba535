#include "worker/artifact_client.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "common/descriptor.hpp"
#include "common/files.hpp"
#include "common/protocol/frame.hpp"
#include "common/protocol/wire.pb.h"
#include "common/sha256.hpp"

namespace fathom::worker {
namespace {

constexpr Millis kAnswer(30'000);  // without an answer for so long a transfer asks again
constexpr Millis kPoll(200);       // how often a waiting transfer looks whether it is cancelled
constexpr int kCorruptTries = 3;

Error given_up() { return {Errc::unavailable, "the transfer was given up: nobody wants it any more"}; }

}  // namespace

void ArtifactClient::opened(Send send) {
  const std::lock_guard lock(mutex_);
  send_ = std::move(send);
  connected_ = true;
  ++number_;
  changed_.notify_all();
}

void ArtifactClient::lost() {
  const std::lock_guard lock(mutex_);
  connected_ = false;
  for (auto& [key, messages] : inbox_) messages.clear();
  changed_.notify_all();
}

void ArtifactClient::stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  changed_.notify_all();
}

void ArtifactClient::deliver(std::shared_ptr<const wire::Envelope> envelope) {
  const std::string key = envelope->has_artifact_have() ? "have " + envelope->artifact_have().sha256()
                                                        : "chunk " + envelope->artifact_chunk().sha256();
  const std::lock_guard lock(mutex_);
  const auto found = inbox_.find(key);
  if (found == inbox_.end()) return;
  found->second.push_back(std::move(envelope));
  changed_.notify_all();
}

std::optional<std::uint64_t> ArtifactClient::wait_connected(const Cancelled& cancelled) {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (stopped_ || cancelled()) return std::nullopt;
    if (connected_) return number_;
    changed_.wait_for(lock, kPoll);
  }
}

ArtifactClient::Message ArtifactClient::wait_answer(const std::string& key, std::uint64_t number,
                                                    const Cancelled& cancelled) {
  const auto deadline = std::chrono::steady_clock::now() + kAnswer;
  std::unique_lock lock(mutex_);
  for (;;) {
    if (stopped_ || !connected_ || number_ != number || cancelled()) return nullptr;
    std::deque<Message>& messages = inbox_[key];
    if (!messages.empty()) {
      Message message = std::move(messages.front());
      messages.pop_front();
      return message;
    }
    if (std::chrono::steady_clock::now() > deadline) return nullptr;
    changed_.wait_for(lock, kPoll);
  }
}

bool ArtifactClient::send(std::uint64_t number, const wire::Envelope& envelope) {
  Send function;
  {
    const std::lock_guard lock(mutex_);
    if (stopped_ || !connected_ || number_ != number) return false;
    function = send_;
  }
  return function(envelope);
}

void ArtifactClient::pause(Millis time, const Cancelled& cancelled) {
  const auto deadline = std::chrono::steady_clock::now() + time;
  std::unique_lock lock(mutex_);
  while (!stopped_ && !cancelled() && std::chrono::steady_clock::now() < deadline) changed_.wait_for(lock, kPoll);
}

void ArtifactClient::listen(const std::string& key, bool on) {
  const std::lock_guard lock(mutex_);
  if (on) {
    inbox_[key].clear();
  } else {
    inbox_.erase(key);
  }
}

Result<bool> ArtifactClient::send_chunks(int file, const std::string& sha256, std::uint64_t offset, std::uint64_t size,
                                         std::uint64_t number, const Cancelled& cancelled) {
  std::string bytes(kChunkSize, '\0');
  do {
    if (cancelled()) return false;
    const ssize_t count = ::pread(file, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return system_error(errno, "reading", "a file to upload");
    if (count == 0 && offset < size) return Error{Errc::corrupt, "a file became shorter while it was uploaded"};
    wire::Envelope envelope;
    auto& chunk = *envelope.mutable_artifact_chunk();
    chunk.set_sha256(sha256);
    chunk.set_offset(offset);
    chunk.set_data(bytes.data(), static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
    chunk.set_last(offset >= size);
    if (!send(number, envelope)) return false;
  } while (offset < size);
  return true;
}

Result<ArtifactClient::Outcome> ArtifactClient::put_once(int file, const std::string& sha256, std::uint64_t size,
                                                         const Cancelled& cancelled) {
  const auto number = wait_connected(cancelled);
  if (!number) return given_up();
  const std::string key = "have " + sha256;
  listen(key, true);
  wire::Envelope put;
  put.mutable_artifact_put()->set_sha256(sha256);
  put.mutable_artifact_put()->set_size(size);
  if (!send(*number, put)) return Outcome::again;
  // Two rounds: the first answer says where to begin, the one after the last chunk that it is committed.
  for (int round = 0; round < 2; ++round) {
    const Message answer = wait_answer(key, *number, cancelled);
    if (!answer) return Outcome::again;
    const wire::ArtifactHave& have = answer->artifact_have();
    if (have.committed()) return Outcome::done;
    if (!have.error().empty()) {
      spdlog::warn("artifact refused, will try again sha256={} error=\"{}\"", sha256, have.error());
      return Outcome::pause;
    }
    if (round == 1) break;
    FATHOM_ASSIGN(const bool sent, send_chunks(file, sha256, have.offset(), size, *number, cancelled));
    if (!sent) return Outcome::again;
  }
  return Outcome::pause;
}

Status ArtifactClient::put(const std::filesystem::path& file, const std::string& sha256, std::uint64_t size,
                           const Cancelled& cancelled) {
  const Descriptor source(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (source.get() < 0) return system_error(errno, "opening", file.string());
  Millis wait(500);
  for (;;) {
    auto outcome = put_once(source.get(), sha256, size, cancelled);
    if (!outcome || *outcome == Outcome::done) {
      listen("have " + sha256, false);
      if (!outcome) return outcome.error();
      return success();
    }
    if (*outcome == Outcome::pause) {
      pause(wait, cancelled);
      wait = std::min(wait * 2, Millis(10'000));
    }
  }
}

Status ArtifactClient::get_once(const std::string& sha256, int file, const Cancelled& cancelled) {
  const std::string key = "chunk " + sha256;
  Sha256 hash;
  std::uint64_t written = 0;
  bool complete = false;
  while (!complete) {
    const auto number = wait_connected(cancelled);
    if (!number) return given_up();
    listen(key, true);
    wire::Envelope request;
    request.mutable_artifact_get()->set_sha256(sha256);
    request.mutable_artifact_get()->set_offset(written);
    if (!send(*number, request)) continue;
    while (!complete) {
      const Message answer = wait_answer(key, *number, cancelled);
      if (!answer) break;  // ask again from where we are
      const wire::ArtifactChunk& chunk = answer->artifact_chunk();
      if (!chunk.error().empty()) {
        return Error{Errc::not_found,
                     fmt::format("the coordinator cannot give artifact {}: {}", sha256, chunk.error())};
      }
      if (chunk.offset() != written) continue;  // of an earlier request
      FATHOM_TRY(write_all(file, chunk.data(), "a fetched artifact"));
      hash.update(chunk.data());
      written += chunk.data().size();
      complete = chunk.last();
    }
  }
  if (hash.hex() == sha256) return success();
  return Error{Errc::corrupt, fmt::format("artifact {} arrived with other bytes than its name says", sha256)};
}

Status ArtifactClient::get(const std::string& sha256, const std::filesystem::path& destination,
                           const Cancelled& cancelled) {
  for (int tries = 1;; ++tries) {
    Status status = success();
    {
      const Descriptor file(::open(destination.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
      if (file.get() < 0) return system_error(errno, "creating", destination.string());
      status = get_once(sha256, file.get(), cancelled);
      listen("chunk " + sha256, false);
    }
    if (status) return success();
    std::error_code ignored;
    std::filesystem::remove(destination, ignored);
    if (status.error().code != Errc::corrupt || tries == kCorruptTries) return status;
  }
}

}  // namespace fathom::worker
