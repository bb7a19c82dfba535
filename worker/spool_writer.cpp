#include "worker/spool_writer.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>

#include "common/crash_point.hpp"
#include "common/protocol/fences.hpp"

namespace fathom::worker {
namespace {

constexpr std::uint64_t kSegmentBytes = 4u << 20;  // beyond it the next one is begun

// 0: another name.
std::uint64_t number_of(const std::filesystem::path& file) {
  const std::string stem = file.stem().string();
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(stem.data(), stem.data() + stem.size(), number);
  return error == std::errc() && end == stem.data() + stem.size() ? number : 0;
}

}  // namespace

// Names of another kind are version 1's: older than all.
std::vector<SpoolContents> SpoolWriter::recover() {
  std::vector<std::filesystem::path> files = disk_.list(folder_);
  std::erase_if(files, [](const auto& file) { return file.extension() != ".spool"; });
  std::ranges::sort(files, [](const auto& a, const auto& b) {
    return std::pair(number_of(a), a.string()) < std::pair(number_of(b), b.string());
  });
  std::map<Fence, std::vector<SpoolRecord>> all;
  for (const std::filesystem::path& file : files) {
    auto segment = read_spool(file, disk_);
    if (!segment) {
      spdlog::warn("spool removed: {}", segment.error().message);
      disk_.remove(file);
      continue;
    }
    if (segment->torn) spdlog::warn("spool has a torn tail, the whole records are used file={}", file.string());
    newest_ = std::max(newest_ + 1, number_of(file));
    for (const Fence& fence : segment->forgotten) {
      forget(fence);
      all.erase(fence);
    }
    Segment& kept = segments_[newest_];
    kept.path = file;
    for (SpoolContents& attempt : segment->attempts) {
      if (attempt.records.empty()) continue;
      kept.needed_by.insert(attempt.fence);
      std::ranges::move(attempt.records, std::back_inserter(all[attempt.fence]));
    }
  }
  looked_ = true;
  remove_unneeded();
  std::vector<SpoolContents> found;
  for (auto& [fence, records] : all) {
    spdlog::info("spool found attempt={} records={}", describe(fence), records.size());
    found.push_back({fence, std::move(records)});
  }
  return found;
}

void SpoolWriter::look_for_numbers() {
  for (const std::filesystem::path& file : disk_.list(folder_)) newest_ = std::max(newest_, number_of(file));
  looked_ = true;
}

Status SpoolWriter::open_segment() {
  if (file_ && file_->size() < kSegmentBytes) return success();
  if (!looked_) look_for_numbers();
  // What the old segment's tail holds unsynced would otherwise never be.
  if (file_ && unsynced_) FATHOM_TRY(file_->sync());
  unsynced_ = false;
  file_.reset();
  last_.reset();
  const std::filesystem::path path = folder_ / spool_file_name(newest_ + 1);
  FATHOM_ASSIGN(SpoolFile opened, SpoolFile::create(path, disk_));
  file_.emplace(std::move(opened));
  segments_[++newest_].path = path;
  return success();
}

void SpoolWriter::forget(const Fence& fence) {
  for (auto& [number, segment] : segments_) segment.needed_by.erase(fence);
}

// The newest stays while it is open.
void SpoolWriter::remove_unneeded() {
  for (auto it = segments_.begin(); it != segments_.end();) {
    if (!it->second.needed_by.empty() || (file_ && it->first == newest_)) {
      ++it;
      continue;
    }
    disk_.remove(it->second.path);
    it = segments_.erase(it);
  }
}

void SpoolWriter::close() {
  file_.reset();
  last_.reset();
  remove_unneeded();
}

void SpoolWriter::add(const SpoolJob& job, std::string& bytes) {
  const bool forgets = job.action != SpoolJob::Action::append;
  const auto holds = [&](const auto& segment) { return segment.second.needed_by.contains(job.fence); };
  // Nobody needs to be told on disk of what never got there.
  if (forgets && job.records.empty() && std::ranges::none_of(segments_, holds)) return;
  if (last_ != job.fence) append_spool_fence(job.fence, bytes);
  last_ = job.fence;
  if (forgets) {
    append_spool_record(SpoolKind::forget, {}, bytes);
    forget(job.fence);
  }
  for (const SpoolRecord& record : job.records) append_spool_record(record.kind, record.payload, bytes);
  if (!job.records.empty()) segments_[newest_].needed_by.insert(job.fence);
}

Status SpoolWriter::write(std::string_view bytes, bool wanted) {
  if (const Status written = file_->append(bytes); !written) {
    last_.reset();
    return written;
  }
  unsynced_ = true;
  if (!wanted) return success();
  crash_point("spool.written");
  FATHOM_TRY(file_->sync());
  unsynced_ = false;
  crash_point("spool.durable");
  return success();
}

void SpoolWriter::write_round(std::vector<SpoolJob>& round) {
  std::map<Fence, std::uint64_t> waiting;
  bool rewritten = false;
  std::string bytes;
  Status status = open_segment();
  // Grouped by attempt, each attempt's in the order they came.
  std::ranges::stable_sort(round, {}, &SpoolJob::fence);
  for (const SpoolJob& job : round) {
    if (job.action == SpoolJob::Action::remove) waiting.erase(job.fence);  // nobody waits for what was removed
    if (job.sequence > 0) waiting[job.fence] = job.sequence;
    rewritten = rewritten || (job.action == SpoolJob::Action::rewrite && !job.records.empty());
    if (status) add(job, bytes);
  }
  if (status && !bytes.empty()) status = write(bytes, !waiting.empty() || rewritten);
  if (!status && waiting.empty()) spdlog::warn("spool not written error=\"{}\"", status.error().message);
  if (status) remove_unneeded();
  for (const auto& [fence, sequence] : waiting) durable_(fence, sequence, status);
}

}  // namespace fathom::worker
