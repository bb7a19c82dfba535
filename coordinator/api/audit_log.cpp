#include "coordinator/api/audit_log.hpp"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include "common/files.hpp"

namespace fathom::api {

namespace {

// As a JSON text. Most are plain; others go through the library, which replaces what is no UTF-8.
void add_text(std::string_view key, std::string_view text, std::string& line) {
  ((line += ",\"") += key) += "\":";
  const auto plain = [](char c) { return c >= ' ' && c <= '~' && c != '"' && c != '\\'; };
  if (std::all_of(text.begin(), text.end(), plain)) {
    ((line += '"') += text) += '"';
  } else {
    line += nlohmann::json(text).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  }
}

}  // namespace

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
  std::string text = "{\"time\":" + std::to_string(clock_.wall().time_since_epoch().count());
  add_text("who", entry.who, text);
  add_text("role", entry.role, text);
  add_text("peer", entry.peer, text);
  add_text("method", entry.method, text);
  add_text("path", std::string_view(entry.path).substr(0, 1000), text);
  text += ",\"status\":" + std::to_string(entry.status);
  if (left_out_ > 0) text += ",\"refusals_left_out\":" + std::to_string(std::exchange(left_out_, 0));
  text += "}\n";
  const bool written = open() && write_all(descriptor_, text, file_).ok();
  if (!written && !failed_) spdlog::error("the audit log cannot be written file={}", file_);
  failed_ = !written;
  size_ += text.size();
}

}  // namespace fathom::api
