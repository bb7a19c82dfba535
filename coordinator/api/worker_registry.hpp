// Which workers may join: one-time join tokens, the certificates they were traded for, and those that were revoked. One
// file (mode 0600) holds all of it, so that using a token up and issuing its certificate are one step.
//
// A worker is its uid, which is the name in its certificate. A certificate is good while its hash is listed for an
// unrevoked worker: the one shown last and the newest issued, so that a renewal whose answer was lost locks nobody out.
// A token's answer may be lost as well: the same key may ask again with it, no other can.
//
// The standing token is the one in the file join-token of the state folder, for workers of this machine: there is
// always an unused one, and it never lets a revoked worker back in. Others are made by name and expire.
//
// Thread: every method from any thread. Owner: the coordinator. Failure: a file that cannot be read or written; what
// was answered is stored. Bounds: kMost of each.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.hpp"
#include "common/net/client_identity.hpp"
#include "common/result.hpp"

namespace fathom::api {

class WorkerRegistry {
 public:
  static constexpr std::size_t kMost = 10'000;

  struct Options {
    std::string file;           // need not exist
    std::string standing_file;  // where the standing token is written
    net::Identity identity;
    Millis life{30LL * 24 * 3600 * 1000};  // of a certificate
  };
  // corrupt: the file is not one of ours.
  static Result<std::unique_ptr<WorkerRegistry>> open(Options options, const Clock& clock);

  // ---- join tokens
  struct TokenInfo {
    std::string name;
    std::int64_t created_ms = 0, expires_ms = 0;
    std::string used_by;  // uid; empty: unused
  };
  // A new token's text, shown this once. Names as in TokenStore. already_exists, resource_exhausted.
  Result<std::string> create(const std::string& name, Millis life);
  Status remove(const std::string& name);             // not_found
  [[nodiscard]] std::vector<TokenInfo> list() const;  // without the standing one, expired ones too

  // ---- certificates
  struct Join {
    std::string token;  // secret, or the whole text
    std::string uid, name;
    std::string request;  // PKCS #10, DER
  };
  // The chain for a worker that comes with a token. unauthenticated: no such token, expired, or used by another key;
  // already_exists: another key holds a living certificate for this uid; permission_denied: revoked, and the token is
  // the standing one; invalid_argument: a request or uid that makes no sense.
  Result<std::string> enroll(const Join& join);
  // A new chain for a worker that showed a good certificate. Those of check().
  Result<std::string> renew(const net::PeerCertificate& shown, const std::string& request);
  // unauthenticated: not a certificate that is in force; permission_denied: revoked.
  [[nodiscard]] Status check(const net::PeerCertificate& shown) const;
  // No certificate of this worker is good any more. not_found: it has none.
  Status revoke(const std::string& uid);

  struct WorkerInfo {
    std::int64_t expires_ms = 0;  // of the newest certificate
    bool revoked = false;
  };
  [[nodiscard]] std::optional<WorkerInfo> find(const std::string& uid) const;

 private:
  struct Token {
    TokenInfo info;
    std::string hash;
    std::string key;  // that used it
  };
  struct Worker {
    std::string uid, name, key;             // of the newest request
    std::vector<std::string> certificates;  // hashes, the newest last, at most two
    std::int64_t expires_ms = 0;
    bool revoked = false;
  };
  struct State {
    std::vector<Token> tokens;
    std::vector<Worker> workers;
  };

  WorkerRegistry(Options options, const Clock& clock) : options_(std::move(options)), clock_(clock) {}
  Status load();
  Status save(State next);  // with mutex_ held: then next is the state
  Status keep_standing();
  Result<std::string> new_token(State& state, const std::string& name, Millis life) const;
  Result<std::string> issue(Worker& worker, const std::string& request) const;
  Status may_enroll(const Worker* worker, const Token& token, const std::string& key) const;
  [[nodiscard]] std::int64_t now_ms() const { return clock_.wall().time_since_epoch().count(); }

  const Options options_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  State state_;
};

}  // namespace fathom::api
