// Who this worker is to its coordinator: a private key that never leaves the state folder and the certificate that the
// coordinator gave for it. Two files (mode 0600):
//   identity.pem  key, certificate and the coordinator's CA, replaced as one
//   identity.key  the key of a request that was not answered yet: asking again is asking for the same
// Thread: made by main, then the agent's loop. Owner: main and the agent.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "common/clock.hpp"
#include "common/net/client_identity.hpp"
#include "common/result.hpp"

namespace fathom::worker {

class Credentials {
 public:
  explicit Credentials(std::filesystem::path folder) : folder_(std::move(folder)) {}

  // Reads identity.pem; without one there is nothing to show yet. corrupt: it cannot be used.
  [[nodiscard]] Status load();
  [[nodiscard]] bool held() const { return chain_.has_value(); }
  // Of the coordinator that issued it; empty: nothing is held.
  [[nodiscard]] std::string ca_sha256() const { return chain_ ? chain_->ca_sha256 : std::string(); }
  [[nodiscard]] bool expired(WallTime now) const { return chain_ && now >= chain_->until; }
  // A third of its time is left, or less.
  [[nodiscard]] bool due(WallTime now) const {
    return chain_ && now >= chain_->until - (chain_->until - chain_->from) / 3;
  }

  // A certificate request (DER) for the key that waits for an answer; it is made and stored first.
  [[nodiscard]] Result<std::string> request();
  // The answer to request(): stored, and from now on what tls() shows. corrupt: it is for another key or name.
  [[nodiscard]] Status accept(const std::string& chain_pem, const std::string& uid);
  // A client's context that shows the certificate. `ca_file`: whom to believe; empty: the CA that issued it.
  [[nodiscard]] Result<net::TlsContext> tls(const std::string& ca_file) const;
  // It was revoked: nothing is held any more.
  void discard();

 private:
  [[nodiscard]] std::string identity_file() const { return (folder_ / "identity.pem").string(); }
  [[nodiscard]] std::string key_file() const { return (folder_ / "identity.key").string(); }

  const std::filesystem::path folder_;
  std::string key_pem_, chain_pem_;
  std::optional<net::Chain> chain_;
};

}  // namespace fathom::worker
