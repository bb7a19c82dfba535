#include "coordinator/api/artifact_keeper.hpp"

#include <spdlog/spdlog.h>

#include "coordinator/artifacts/artifact_store.hpp"
#include "coordinator/core/event.pb.h"
#include "coordinator/core/state.hpp"

namespace fathom::api {
namespace {

int nibble(char c) { return c <= '9' ? c - '0' : c - 'a' + 10; }

constexpr std::size_t kHash = 32;
constexpr std::size_t kOrphansAtOnce = 20;  // the core's strand waits meanwhile

}  // namespace

std::string packed_hash(const std::string& hex) {
  std::string bytes;
  bytes.reserve(hex.size() / 2);
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes += static_cast<char>(nibble(hex[i]) * 16 + nibble(hex[i + 1]));
  }
  return bytes;
}

void each_final_file(const event::Event& event, const std::function<void(const std::string&)>& each) {
  for (const auto& file : event.job_finished().files()) each(file.sha256());
  for (const auto& file : event.job_stopped().files()) each(file.sha256());
  for (const auto& file : event.job_reused().files()) each(file.sha256());
}

void ArtifactKeeper::observe(const event::Event& event) {
  each_final_file(event, [this](const std::string& sha256) {
    const std::lock_guard lock(mutex_);
    final_.insert(sha256);
  });
}

void ArtifactKeeper::restore(const std::string& packed) {
  const std::lock_guard lock(mutex_);
  final_.reserve(packed.size() / kHash);
  for (std::size_t at = 0; at + kHash <= packed.size(); at += kHash)
    final_.insert_packed(std::string_view(packed).substr(at, kHash));
}

void ArtifactKeeper::pin(const std::string& sha256) {
  const std::lock_guard lock(mutex_);
  const TimePoint now = clock_.now();
  pinned_[sha256] = now + grace_;
  if (watching_) announced_.insert(sha256);
  if (now < pruned_ + grace_) return;
  pruned_ = now;
  std::erase_if(pinned_, [&](const auto& pin) { return pin.second <= now; });
}

void ArtifactKeeper::release(const std::string& sha256) {
  const std::lock_guard lock(mutex_);
  released_.push_back({sha256, clock_.now()});
}

void ArtifactKeeper::watch_orphans() {
  const std::lock_guard lock(mutex_);
  watching_ = true;
}

void ArtifactKeeper::found(const std::vector<artifacts::ArtifactInfo>& here) {
  const std::lock_guard lock(mutex_);
  here_.emplace();
  for (const artifacts::ArtifactInfo& info : here) {
    if (!final_.contains(info.sha256)) here_->push_back(info.sha256);
  }
}

bool ArtifactKeeper::remove_orphans(const std::map<LeaseId, core::Lease>& leases,
                                    const std::function<bool(const std::string&)>& in_use) {
  const std::lock_guard lock(mutex_);
  if (!watching_) return true;
  if (!leases_) {
    leases_.emplace();
    for (const auto& [id, lease] : leases) leases_->insert(id);
  }
  std::erase_if(*leases_, [&](LeaseId id) { return !leases.contains(id); });
  if (!here_ || !leases_->empty()) return false;
  for (std::size_t i = 0; i < kOrphansAtOnce && !here_->empty(); ++i) {
    const std::string sha256 = std::move(here_->back());
    here_->pop_back();
    if (final_.contains(sha256) || announced_.contains(sha256) || in_use(sha256)) continue;
    if (auto removed = store_.remove(sha256); removed) {
      ++orphans_;
    } else {
      spdlog::warn("artifact not removed sha256={} error=\"{}\"", sha256, removed.error().message);
    }
  }
  if (!here_->empty()) return false;
  if (orphans_ != 0) spdlog::info("removed artifacts that no event names count={}", orphans_);
  watching_ = false;
  announced_.clear();
  return true;
}

void ArtifactKeeper::remove_due(const std::function<bool(const std::string&)>& in_use) {
  // The lock is held over the removal: a pin() that comes now waits, and then finds the artifact gone.
  const std::lock_guard lock(mutex_);
  const TimePoint now = clock_.now();
  while (!released_.empty() && released_.front().at + grace_ <= now) {
    Released next = std::move(released_.front());
    released_.pop_front();
    if (final_.contains(next.sha256) || in_use(next.sha256)) continue;
    const auto pin = pinned_.find(next.sha256);
    if (pin != pinned_.end() && pin->second > now) {
      released_.push_back({std::move(next.sha256), now});
      continue;
    }
    if (auto removed = store_.remove(next.sha256); !removed) {
      spdlog::warn("artifact not removed sha256={} error=\"{}\"", next.sha256, removed.error().message);
    }
  }
}

}  // namespace fathom::api
