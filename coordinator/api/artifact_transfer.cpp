#include "coordinator/api/artifact_transfer.hpp"

#include <spdlog/spdlog.h>

#include "common/protocol/frame.hpp"
#include "common/protocol/wire.pb.h"
#include "coordinator/api/artifact_keeper.hpp"
#include "coordinator/artifacts/artifact_store.hpp"

namespace fathom::api {
namespace {

constexpr std::size_t kDownloads = 256;

}  // namespace

ArtifactTransfer::ArtifactTransfer(artifacts::ArtifactStore& store, ArtifactKeeper& keeper, net::Connection& connection)
    : store_(store), keeper_(keeper), connection_(connection) {}

ArtifactTransfer::~ArtifactTransfer() = default;

void ArtifactTransfer::answer(const std::string& sha256, std::uint64_t offset, bool committed,
                              const std::string& error) {
  wire::Envelope envelope;
  wire::ArtifactHave& have = *envelope.mutable_artifact_have();
  have.set_sha256(sha256);
  have.set_offset(offset);
  have.set_committed(committed);
  have.set_error(error);
  connection_.send(envelope);
}

void ArtifactTransfer::put(const wire::ArtifactPut& put) {
  // Pinned before the store is asked: what it says it has must not be deleted a moment later.
  keeper_.pin(put.sha256());
  failed_.erase(put.sha256());
  const auto state = store_.begin(put.sha256(), put.size());
  if (!state) return answer(put.sha256(), 0, false, state.error().message);
  answer(put.sha256(), state->offset, state->committed, "");
}

void ArtifactTransfer::chunk(const wire::ArtifactChunk& chunk) {
  if (failed_.contains(chunk.sha256())) return;
  const auto state = store_.write(chunk.sha256(), chunk.offset(), chunk.data());
  if (!state) {
    // One answer for the failure, not one for every chunk that is still on its way.
    if (failed_.size() < 1000) failed_.insert(chunk.sha256());
    return answer(chunk.sha256(), 0, false, state.error().message);
  }
  if (state->committed) keeper_.pin(chunk.sha256());
  if (state->committed || chunk.last()) answer(chunk.sha256(), state->offset, state->committed, "");
}

void ArtifactTransfer::refuse(const std::string& sha256, std::uint64_t offset, const std::string& error) {
  wire::Envelope envelope;
  wire::ArtifactChunk& chunk = *envelope.mutable_artifact_chunk();
  chunk.set_sha256(sha256);
  chunk.set_offset(offset);
  chunk.set_error(error);
  connection_.send(envelope);
}

void ArtifactTransfer::get(const wire::ArtifactGet& get) {
  if (downloads_.size() >= kDownloads) return refuse(get.sha256(), get.offset(), "too many downloads wait already");
  auto reader = store_.open(get.sha256());
  if (!reader) return refuse(get.sha256(), get.offset(), reader.error().message);
  if (get.offset() > (*reader)->size()) return refuse(get.sha256(), get.offset(), "the artifact is shorter than that");
  Download download{get.sha256(), get.offset(), std::move(*reader), {}};
  if (get.offset() == 0) download.hash.emplace();
  downloads_.push_back(std::move(download));
  pump();
}

void ArtifactTransfer::pump() {
  while (!downloads_.empty() && connection_.queued() < net::Connection::kLowWater) {
    if (send_piece(downloads_.front())) downloads_.pop_front();
  }
}

// The disk has changed the file. The peer would notice too, ask again, and get the same bytes again.
bool ArtifactTransfer::damaged(Download& download) {
  if (!download.hash || download.hash->hex() == download.sha256) return false;
  const Status moved = store_.quarantine(download.sha256);
  spdlog::error("artifact is damaged sha256={} moved_to=\"{}\"", download.sha256,
                moved ? "artifacts/damaged" : moved.error().message);
  return true;
}

// True: it was the last piece.
bool ArtifactTransfer::send_piece(Download& download) {
  const auto bytes = download.reader->read(download.offset, kChunkSize);
  if (!bytes) {
    refuse(download.sha256, download.offset, bytes.error().message);
    return true;
  }
  wire::Envelope envelope;
  wire::ArtifactChunk& chunk = *envelope.mutable_artifact_chunk();
  chunk.set_sha256(download.sha256);
  chunk.set_offset(download.offset);
  chunk.set_data(*bytes);
  download.offset += bytes->size();
  if (download.hash) download.hash->update(*bytes);
  const bool last = download.offset >= download.reader->size() || bytes->empty();
  if (last && damaged(download)) {
    refuse(download.sha256, download.offset, "the coordinator's copy is damaged");
    return true;
  }
  chunk.set_last(last);
  return !connection_.send(envelope) || last;
}

}  // namespace fathom::api
