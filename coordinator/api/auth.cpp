#include "coordinator/api/auth.hpp"

#include <algorithm>

#include "common/net/secrets.hpp"
#include "common/sha256.hpp"
#include "coordinator/api/http/problem.hpp"
#include "coordinator/api/http/url.hpp"

namespace fathom::api {
namespace {

constexpr Millis kCodeLife{5 * 60 * 1000};
constexpr Millis kSessionLife{12 * 60 * 60 * 1000};
constexpr std::size_t kCodes = 100;
constexpr std::size_t kSessions = 1000;

// HOST of "HOST", "HOST:PORT" or "[V6]:PORT", lower case.
std::string host_of(std::string_view authority) {
  std::string host;
  if (authority.starts_with('[')) {
    host = std::string(authority.substr(0, authority.find(']') + 1));
  } else {
    host = std::string(authority.substr(0, authority.find(':')));
  }
  std::transform(host.begin(), host.end(), host.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return host;
}

// A name can be made to point here by whoever owns it; an address cannot.
bool is_address(const std::string& host) {
  if (host.starts_with('[')) return true;
  return !host.empty() && host.find_first_not_of("0123456789.") == std::string::npos;
}

bool is_safe(const std::string& method) { return method == "GET" || method == "HEAD" || method == "OPTIONS"; }

}  // namespace

Auth::Auth(const TokenStore& tokens, const std::vector<std::string>& hosts, const Clock& clock)
    : clock_(clock), tokens_(tokens), hosts_{"localhost"} {
  for (const std::string& host : hosts) hosts_.insert(host_of(host));
}

std::optional<Answer> Auth::refuse_foreign(const Request& request) const {
  const std::string host = host_of(request.header("host"));
  if (!is_address(host) && !hosts_.contains(host)) {
    return problem(421, "this coordinator is not called \"" + host + "\"; start it with --hostname for that name");
  }
  const std::string& origin = request.header("origin");
  if (origin.empty()) return std::nullopt;
  const auto scheme = origin.find("://");
  // The same authority, port included: another port of this machine may belong to anybody.
  if (scheme == std::string::npos || origin.substr(scheme + 3) != request.header("host")) {
    return problem(403, "requests from pages of another origin are not answered");
  }
  return std::nullopt;
}

bool Auth::admit(Request& request) {
  static constexpr std::string_view kBearer = "Bearer ";
  const std::string& header = request.header("authorization");
  std::optional<Identity> who;
  if (header.starts_with(kBearer)) {
    who = tokens_.find(std::string_view(header).substr(kBearer.size()));
  } else if (const std::string secret = cookie(request.header("cookie"), kCookieName);
             header.empty() && !secret.empty()) {
    const std::lock_guard lock(mutex_);
    who = take(sessions_, secret, false);
    request.by_cookie = who.has_value();
  }
  if (!who) return false;
  request.who = who->name;
  request.role = who->role;
  return true;
}

std::optional<Answer> Auth::refuse_forged(const Request& request) {
  if (!request.by_cookie || is_safe(request.method)) return std::nullopt;
  // refuse_foreign() has compared an Origin that is there; a browser always sends one with a POST.
  if (!request.header("origin").empty()) return std::nullopt;
  return problem(403, "a request with the dashboard's cookie must name its Origin");
}

Result<Auth::Login> Auth::make_login(const Identity& who) {
  const std::lock_guard lock(mutex_);
  FATHOM_ASSIGN(const std::string code, put(codes_, who, kCodeLife, kCodes));
  return Login{"/login?code=" + code, (clock_.wall() + kCodeLife).time_since_epoch().count()};
}

std::optional<Auth::Session> Auth::redeem(const std::string& code) {
  const std::lock_guard lock(mutex_);
  const auto who = take(codes_, code, true);
  if (!who) return std::nullopt;
  const auto session = put(sessions_, *who, kSessionLife, kSessions);
  if (!session) return std::nullopt;
  return Session{*session, *who};
}

std::optional<Identity> Auth::take(std::deque<Entry>& entries, const std::string& secret, bool once) {
  const TimePoint now = clock_.now();
  std::erase_if(entries, [&](const Entry& entry) { return entry.until <= now; });
  const std::string hash = sha256_hex(secret);
  auto found = entries.end();
  for (auto it = entries.begin(); it != entries.end(); ++it) {
    if (net::equal_constant_time(it->hash, hash)) found = it;
  }
  if (found == entries.end() || !tokens_.alive(found->who.name)) return std::nullopt;
  const Identity who = found->who;
  if (once) entries.erase(found);
  return who;
}

Result<std::string> Auth::put(std::deque<Entry>& entries, const Identity& who, Millis life, std::size_t limit) {
  FATHOM_ASSIGN(std::string secret, net::random_hex());
  entries.push_back({sha256_hex(secret), clock_.now() + life, who});
  if (entries.size() > limit) entries.pop_front();
  return secret;
}

}  // namespace fathom::api
