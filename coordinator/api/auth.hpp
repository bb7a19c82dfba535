// Who asks: the token of a program, the cookie of a browser that came with a one-time code, and the two checks
// that keep other web pages out (Host against DNS rebinding, Origin against forged requests).
//
// Thread: every method from any thread. Owner: the coordinator. Secrets are kept as SHA-256 only and compared in
// constant time. A session has the name and role of the token that opened it and ends with it. Codes and sessions live
// in memory: after a restart browsers log in again. Bounds: 1000 sessions, 100 open codes; the oldest go.
#pragma once

#include <deque>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.hpp"
#include "common/result.hpp"
#include "coordinator/api/http/message.hpp"
#include "coordinator/api/tokens.hpp"

namespace fathom::api {

inline constexpr const char* kCookieName = "fathom_session";

class Auth {
 public:
  // `hosts`: names that a request may use for this server, beside localhost and any IP address.
  // `tokens` outlives this.
  Auth(const TokenStore& tokens, const std::vector<std::string>& hosts, const Clock& clock);

  // Why this request is refused before anything else is looked at: 421 for a foreign Host, 403 for a foreign Origin.
  [[nodiscard]] std::optional<Answer> refuse_foreign(const Request& request) const;
  // True: the request carries a good token or a live cookie. Sets Request::by_cookie, who and role.
  [[nodiscard]] bool admit(Request& request);
  // With a cookie, a request that changes something must come from one of our own pages (it names its Origin).
  [[nodiscard]] static std::optional<Answer> refuse_forged(const Request& request);

  struct Login {
    std::string path;          // "/login?code=…", good once
    std::int64_t expires = 0;  // Unix milliseconds
  };
  // For the browser of whoever asks.
  Result<Login> make_login(const Identity& who);
  // The new session's cookie value for a code; nullopt: unknown, used or too old.
  struct Session {
    std::string cookie;
    Identity who;
  };
  std::optional<Session> redeem(const std::string& code);

 private:
  struct Entry {
    std::string hash;
    TimePoint until;
    Identity who;
  };
  std::optional<Identity> take(std::deque<Entry>& entries, const std::string& secret, bool once);
  Result<std::string> put(std::deque<Entry>& entries, const Identity& who, Millis life, std::size_t limit);

  const Clock& clock_;
  const TokenStore& tokens_;
  std::set<std::string> hosts_;
  std::mutex mutex_;
  std::deque<Entry> codes_;
  std::deque<Entry> sessions_;
};

}  // namespace fathom::api
