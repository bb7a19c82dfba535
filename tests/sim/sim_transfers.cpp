#include "tests/sim/sim_transfers.hpp"

#include <algorithm>

#include "common/protocol/fences.hpp"
#include "common/sha256.hpp"
#include "tests/sim/world.hpp"

namespace fathom::sim {
namespace {

constexpr Millis kAnswer(30'000);  // as ArtifactClient
constexpr Millis kPoll(500);

Error given_up() { return {Errc::unavailable, "the transfer was given up: nobody wants it any more"}; }

}  // namespace

void SimTransfers::opened(std::function<bool(const wire::Envelope&)> send) {
  send_ = std::move(send);
  asked_put_ = asked_get_ = chunks_sent_ = false;
  pump_uploads();
  pump_downloads();
}

void SimTransfers::lost() {
  send_ = nullptr;
  asked_put_ = asked_get_ = chunks_sent_ = false;
}

Result<std::filesystem::path> SimTransfers::make_folder(const Fence& fence) {
  const std::filesystem::path folder = "jobs/" + fathom::describe(fence);
  empty(folder);
  return folder;
}

void SimTransfers::empty(const std::filesystem::path& folder) {
  const std::string prefix = folder.string() + "/";
  std::erase_if(files_, [&](const auto& file) { return file.first.starts_with(prefix); });
}

void SimTransfers::remove_folder(const std::filesystem::path& folder) {
  after_uploads([this, folder] { empty(folder); });
}

void SimTransfers::add(std::deque<Task>& queue, Task task) {
  queue.push_back(std::move(task));
  watch();
  // Never inside the caller's own call.
  world_.scheduler.after(Millis(1), life_, [this] {
    pump_uploads();
    pump_downloads();
  });
}

// Cancelled transfers end, answers that do not come are asked for again.
void SimTransfers::watch() {
  if (std::exchange(watching_, true)) return;
  world_.scheduler.after(kPoll, life_, [this] {
    watching_ = false;
    const TimePoint now = world_.scheduler.now();
    if (asked_put_ && now - put_at_ > kAnswer) asked_put_ = chunks_sent_ = false;
    if (asked_get_ && now - get_at_ > kAnswer) asked_get_ = false;
    pump_uploads();
    pump_downloads();
    if (!uploads_.empty() || !downloads_.empty()) watch();
  });
}

void SimTransfers::end_first(std::deque<Task>& queue, const Status& status) {
  auto task = std::make_shared<Task>(std::move(queue.front()));
  queue.pop_front();
  loop_.post([task, status] { task->done(*task, status); });
}

void SimTransfers::upload(const wire::Item& item, const std::filesystem::path& folder, Flag flag, Uploaded done) {
  Task task;
  task.cancelled = std::move(flag);
  const std::string base = folder.string() + "/";
  if (item.has_checkpoint()) {
    task.pieces.push_back({item.checkpoint().path(), {}, files_[base + item.checkpoint().path()], false});
  } else if (item.has_finished() || item.has_stopped()) {
    for (const auto& [path, bytes] : files_) {
      if (path.starts_with(base + "final/")) task.pieces.push_back({path.substr(base.size() + 6), {}, bytes, false});
    }
  }
  for (Piece& piece : task.pieces) piece.sha256 = sha256_hex(piece.bytes);
  task.done = [named = item, done = std::move(done)](Task& ended, const Status& status) mutable {
    for (const Piece& piece : ended.pieces) {
      wire::File* file = named.has_checkpoint() ? named.mutable_checkpoint()->mutable_file()
                         : named.has_finished() ? named.mutable_finished()->add_files()
                                                : named.mutable_stopped()->add_files();
      file->set_path(piece.path);
      file->set_sha256(piece.sha256);
      file->set_size(piece.bytes.size());
    }
    if (named.has_checkpoint()) named.mutable_checkpoint()->clear_path();
    done(named, status);
  };
  add(uploads_, std::move(task));
}

void SimTransfers::after_uploads(std::function<void()> done) {
  Task task;
  task.done = [done = std::move(done)](Task&, const Status&) { done(); };
  add(uploads_, std::move(task));
}

void SimTransfers::pump_uploads() {
  while (!uploads_.empty() && !stopped_) {
    Task& task = uploads_.front();
    if (!task.pieces.empty() && cancelled(task)) {
      asked_put_ = chunks_sent_ = false;
      end_first(uploads_, given_up());
      continue;
    }
    if (task.next == task.pieces.size()) {
      end_first(uploads_, success());
      continue;
    }
    if (asked_put_ || !send_) return;
    const Piece& piece = task.pieces[task.next];
    wire::Envelope put;
    put.mutable_artifact_put()->set_sha256(piece.sha256);
    put.mutable_artifact_put()->set_size(piece.bytes.size());
    asked_put_ = true;
    chunks_sent_ = false;
    put_at_ = world_.scheduler.now();
    send_(put);
    return;
  }
}

void SimTransfers::have(const wire::ArtifactHave& answer) {
  if (uploads_.empty() || !asked_put_) return;
  Task& task = uploads_.front();
  if (task.next == task.pieces.size() || task.pieces[task.next].sha256 != answer.sha256()) return;
  const Piece& piece = task.pieces[task.next];
  if (answer.committed()) {
    cache_[piece.sha256] = piece.bytes;
    ++task.next;
    asked_put_ = false;
    return pump_uploads();
  }
  if (!answer.error().empty() || chunks_sent_) {
    // Asked again after the pause of watch().
    put_at_ = world_.scheduler.now() - kAnswer;
    return watch();
  }
  wire::Envelope envelope;
  wire::ArtifactChunk& chunk = *envelope.mutable_artifact_chunk();
  chunk.set_sha256(piece.sha256);
  chunk.set_offset(answer.offset());
  chunk.set_data(piece.bytes.substr(static_cast<std::size_t>(answer.offset())));
  chunk.set_last(true);
  chunks_sent_ = true;
  if (send_) send_(envelope);
}

void SimTransfers::lay(const wire::Assign& assign, const std::filesystem::path& folder, Flag flag, Laid done) {
  Task task;
  task.cancelled = std::move(flag);
  for (const wire::File& file : assign.fetch())
    task.pieces.push_back({"inputs/" + file.path(), file.sha256(), {}, false});
  std::vector<wire::Checkpoint> choices;  // the newest first
  if (assign.has_resume()) choices.push_back(assign.resume());
  if (assign.has_resume_older()) choices.push_back(assign.resume_older());
  choices.insert(choices.end(), assign.resume_earlier().begin(), assign.resume_earlier().end());
  for (const wire::Checkpoint& choice : choices)
    task.pieces.push_back({"resume.ckpt", choice.file().sha256(), {}, true});
  task.done = [this, laid = assign, choices, base = folder.string() + "/", done = std::move(done)](
                  Task& ended, const Status& status) mutable {
    laid.clear_resume(), laid.clear_resume_older(), laid.clear_resume_earlier();
    const std::size_t first = ended.pieces.size() - choices.size();
    for (std::size_t i = 0; i < ended.pieces.size(); ++i) {
      const Piece& piece = ended.pieces[i];
      if (piece.bytes.empty()) continue;
      files_[base + piece.path] = piece.bytes;
      if (piece.resume) *laid.mutable_resume() = choices[i - first];  // one that was not looked for has no bytes
    }
    done(laid, status);
  };
  add(downloads_, std::move(task));
}

void SimTransfers::pump_downloads() {
  while (!downloads_.empty() && !stopped_) {
    Task& task = downloads_.front();
    if (cancelled(task)) {
      asked_get_ = false;
      end_first(downloads_, given_up());
      continue;
    }
    if (task.next == task.pieces.size()) {
      end_first(downloads_, success());
      continue;
    }
    Piece& piece = task.pieces[task.next];
    const auto is_there = [](const Piece& other) { return other.resume && !other.bytes.empty(); };
    if (piece.resume && std::ranges::any_of(task.pieces, is_there)) {  // a newer one is there: this one is not needed
      ++task.next;
      continue;
    }
    if (const auto known = cache_.find(piece.sha256); known != cache_.end()) {
      piece.bytes = known->second;
      ++task.next;
      continue;
    }
    if (asked_get_ || !send_) return;
    wire::Envelope get;
    get.mutable_artifact_get()->set_sha256(piece.sha256);
    get.mutable_artifact_get()->set_offset(0);
    asked_get_ = true;
    get_at_ = world_.scheduler.now();
    send_(get);
    return;
  }
}

void SimTransfers::chunk(const wire::ArtifactChunk& chunk) {
  if (downloads_.empty() || !asked_get_) return;
  Task& task = downloads_.front();
  if (task.next == task.pieces.size() || task.pieces[task.next].sha256 != chunk.sha256()) return;
  Piece& piece = task.pieces[task.next];
  asked_get_ = false;
  if (!chunk.error().empty()) {
    if (piece.resume) {
      ++task.next;  // starts from the beginning
    } else {
      return end_first(downloads_, Error{Errc::not_found, "the coordinator cannot give it: " + chunk.error()});
    }
    return pump_downloads();
  }
  // Files here are smaller than one chunk.
  if (sha256_hex(chunk.data()) != piece.sha256) world_.complain("I5: an artifact came with other bytes than its name");
  piece.bytes = chunk.data();
  cache_[piece.sha256] = piece.bytes;
  ++task.next;
  pump_downloads();
}

void SimTransfers::deliver(std::shared_ptr<const wire::Envelope> envelope) {
  if (envelope->has_artifact_have()) return have(envelope->artifact_have());
  chunk(envelope->artifact_chunk());
}

}  // namespace fathom::sim
