#include "coordinator/api/artifact_keeper.hpp"

#include <spdlog/spdlog.h>

#include "coordinator/artifacts/artifact_store.hpp"
#include "coordinator/core/event.pb.h"

namespace fathom::api {
namespace {

int nibble(char c) { return c <= '9' ? c - '0' : c - 'a' + 10; }

// Half the memory of the text; a sweep of 100,000 jobs has close to a million final files.
std::string packed(const std::string& hex) {
  std::string bytes;
  bytes.reserve(hex.size() / 2);
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes += static_cast<char>(nibble(hex[i]) * 16 + nibble(hex[i + 1]));
  }
  return bytes;
}

}  // namespace

void ArtifactKeeper::observe(const event::Event& event) {
  const auto keep = [this](const auto& files) {
    const std::lock_guard lock(mutex_);
    for (const auto& file : files) final_.insert(packed(file.sha256()));
  };
  if (event.has_job_finished()) keep(event.job_finished().files());
  if (event.has_job_stopped()) keep(event.job_stopped().files());
}

void ArtifactKeeper::pin(const std::string& sha256) {
  const std::lock_guard lock(mutex_);
  const TimePoint now = clock_.now();
  pinned_[sha256] = now + grace_;
  if (now < pruned_ + grace_) return;
  pruned_ = now;
  std::erase_if(pinned_, [&](const auto& pin) { return pin.second <= now; });
}

void ArtifactKeeper::release(const std::string& sha256) {
  const std::lock_guard lock(mutex_);
  released_.push_back({sha256, clock_.now()});
}

void ArtifactKeeper::remove_due(const std::function<bool(const std::string&)>& in_use) {
  // The lock is held over the removal: a pin() that comes now waits, and then finds the artifact gone.
  const std::lock_guard lock(mutex_);
  const TimePoint now = clock_.now();
  while (!released_.empty() && released_.front().at + grace_ <= now) {
    Released next = std::move(released_.front());
    released_.pop_front();
    if (final_.contains(packed(next.sha256)) || in_use(next.sha256)) continue;
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
