// The tokens, each with a role. The admin token of the state folder is always there; others are
// made and revoked while the coordinator runs and kept in one file (mode 0600), as SHA-256 only.
//
// Thread: every method from any thread. Owner: the coordinator. Failure: a file that cannot be read or written; a token
// that was shown is stored before it is shown.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.hpp"
#include "common/result.hpp"
#include "coordinator/api/role.hpp"

namespace fathom::api {

// Who asks.
struct Identity {
  std::string name;  // of the token
  Role role = Role::viewer;
};

struct TokenInfo {
  std::string name;
  Role role = Role::viewer;
  std::int64_t created_ms = 0;
  std::int64_t expires_ms = 0;  // Unix milliseconds; 0: never
};

// invalid_argument: not 1-64 letters, digits, '.', '_' or '-'.
Status check_token_name(const std::string& name);

class TokenStore {
 public:
  static constexpr std::size_t kMost = 1000;
  static constexpr const char* kAdmin = "admin";  // the name of the state folder's token

  // `file` need not exist. `admin_token`: the state folder's. corrupt: the file is not one of ours.
  static Result<std::unique_ptr<TokenStore>> open(std::string file, const std::string& admin_token, const Clock& clock);

  // Whose token this is; nullopt: nobody's, or it has expired. Takes the same time whichever it is.
  [[nodiscard]] std::optional<Identity> find(std::string_view secret) const;
  // Whether the token of this name is (still) good: a browser's session ends with the token that opened it.
  [[nodiscard]] bool alive(const std::string& name) const;

  // A new token's secret, shown this once. `life` 0: for ever. invalid_argument: a name that is not 1-64 letters,
  // digits,
  // '.', '_' or '-'; already_exists: the name is taken; resource_exhausted: kMost are there.
  Result<std::string> create(const std::string& name, Role role, Millis life);
  Status revoke(const std::string& name);             // not_found; permission_denied for the admin token
  [[nodiscard]] std::vector<TokenInfo> list() const;  // in the order they were made, expired ones too

 private:
  struct Entry {
    TokenInfo info;
    std::string hash;
  };
  TokenStore(std::string file, const std::string& admin_token, const Clock& clock);
  Status load();
  Status save(const std::vector<Entry>& entries) const;
  [[nodiscard]] bool expired(const TokenInfo& info) const;

  const std::string file_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::vector<Entry> entries_;  // the admin token first
};

}  // namespace fathom::api
