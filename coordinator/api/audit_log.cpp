#include "coordinator/api/audit_log.hpp"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <utility>

#include <nlohmann/json.hpp>

#include "common/files.hpp"

namespace fathom::api {

AuditLog::AuditLog(std::string file, const Clock& clock, Limits limits)
    : file_(std::move(file)), clock_(clock), limits_(limits) {}

AuditLog::~AuditLog() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

bool AuditLog::open() {
  if (descriptor_ >= 0 && size_ < limits_.bytes) return true;
  if (descriptor_ >= 0) {
    ::close(std::exchange(descriptor_, -1));
    std::rename(file_.c_str(), (file_ + ".1").c_str());
  }
  descriptor_ = ::open(file_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  struct stat info {};
  size_ = descriptor_ >= 0 && ::fstat(descriptor_, &info) == 0 ? static_cast<std::uint64_t>(info.st_size) : 0;
  return descriptor_ >= 0;
}

// True: this refusal is one too many of its second and is only counted.
bool AuditLog::thinned(const AuditEntry& entry) {
  if (entry.status != 401 && entry.status != 403 && entry.status != 429) return false;
  const TimePoint now = clock_.now();
  if (now - second_ >= Millis{1000}) {
    second_ = now;
    refusals_ = 0;
  }
  if (++refusals_ <= limits_.refusals_per_second) return false;
  ++left_out_;
  return true;
}

void AuditLog::write(const AuditEntry& entry) {
  const std::lock_guard lock(mutex_);
  if (thinned(entry)) return;
  nlohmann::ordered_json line{{"time", clock_.wall().time_since_epoch().count()},
                              {"who", entry.who},
                              {"role", entry.role},
                              {"peer", entry.peer},
                              {"method", entry.method},
                              {"path", entry.path.substr(0, 1000)},
                              {"status", entry.status}};
  if (left_out_ > 0) line["refusals_left_out"] = std::exchange(left_out_, 0);
  const std::string text = line.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace) + "\n";
  const bool written = open() && write_all(descriptor_, text, file_).ok();
  if (!written && !failed_) spdlog::error("the audit log cannot be written file={}", file_);
  failed_ = !written;
  size_ += text.size();
}

}  // namespace fathom::api
