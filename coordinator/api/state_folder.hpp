// The coordinator's part of the state folder: one coordinator at a time, one format.
//   VERSION              "fathom 1": the format of everything here
//   token                the admin token, mode 0600
//   join-token           an unused join token for a worker of this machine, mode 0600 (worker_registry.hpp)
//   coordinator/lock     held (flock) while a coordinator lives; the kernel lets go when it dies
//   coordinator/address  HOST:PORT it listens on, written when it listens
//   coordinator/tls/     ca.pem ca.key server.pem server.key
//   coordinator/tokens.json workers.json audit.jsonl
//   coordinator/events.db metrics.db read.db artifacts/ logs/
#pragma once

#include <string>
#include <vector>

#include "common/net/endpoint.hpp"
#include "common/net/identity.hpp"
#include "common/result.hpp"

namespace fathom::api {

// Owns the lock. Thread: made and destroyed by one thread; the rest is read only.
class StateFolder {
 public:
  // Makes what is missing: folder, keys, tokens. `hosts`: more names for the certificate. Errors: failed_precondition
  // when another coordinator holds the lock; unsupported for another version; already_exists for a folder that holds
  // something else; corrupt for a key that cannot be read; those of common/files.hpp.
  static Result<StateFolder> open(const std::string& path, const std::vector<std::string>& hosts);
  StateFolder(StateFolder&& other) noexcept;
  StateFolder& operator=(StateFolder&&) = delete;
  ~StateFolder();

  [[nodiscard]] const net::Identity& identity() const { return identity_; }
  [[nodiscard]] const std::string& admin_token() const { return admin_token_; }
  [[nodiscard]] std::string join_token_file() const { return path_ + "/join-token"; }
  // A path below coordinator/.
  [[nodiscard]] std::string inner(const std::string& name) const { return path_ + "/coordinator/" + name; }
  Status write_address(const net::Endpoint& endpoint) const;

 private:
  StateFolder(std::string path, int lock) : path_(std::move(path)), lock_(lock) {}
  Status check_version() const;
  Status take_lock();
  Status make_secrets(const std::vector<std::string>& hosts);

  std::string path_;
  int lock_ = -1;  // descriptor
  net::Identity identity_;
  std::string admin_token_;
};

// ${XDG_STATE_HOME:-~/.local/state}/fathom
std::string default_state_folder();

}  // namespace fathom::api
