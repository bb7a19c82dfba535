// Who changed or was refused what: one JSON object a line, {"time", "who", "role", "peer", "method", "path", "status"},
// for every request that is not a mere look, every login, and every refusal for want of a token or a role. Secrets are
// never in it: codes and tokens travel in queries and headers, which are left out.
//
// The file is appended to and moves to NAME.1 beyond its limit. Refusals are thinned to a few a second, so that a
// stranger cannot fill the disk. Thread: every method from any thread. Failure: said once in the log; requests go on.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>

#include "common/clock.hpp"

namespace fathom::api {

struct AuditEntry {
  std::string who, role, peer, method, path;
  int status = 0;
};

class AuditLog {
 public:
  struct Limits {
    std::uint64_t bytes = 16U << 20;
    std::uint32_t refusals_per_second = 10;
  };
  AuditLog(std::string file, const Clock& clock) : AuditLog(std::move(file), clock, Limits{}) {}
  AuditLog(std::string file, const Clock& clock, Limits limits);
  ~AuditLog();
  AuditLog(const AuditLog&) = delete;
  AuditLog& operator=(const AuditLog&) = delete;

  void write(const AuditEntry& entry);

 private:
  bool open();
  bool thinned(const AuditEntry& entry);

  const std::string file_;
  const Clock& clock_;
  const Limits limits_;
  std::mutex mutex_;
  int descriptor_ = -1;
  std::uint64_t size_ = 0;
  bool failed_ = false;
  TimePoint second_{};
  std::uint32_t refusals_ = 0, left_out_ = 0;
};

}  // namespace fathom::api
