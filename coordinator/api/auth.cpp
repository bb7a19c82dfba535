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

Auth::Auth(const std::string& admin_token, const std::vector<std::string>& hosts, const Clock& clock)
    : clock_(clock), admin_hash_(sha256_hex(admin_token)), hosts_{"localhost"} {
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
  if (!header.empty()) {
    return header.starts_with(kBearer) &&
           net::equal_constant_time(sha256_hex(std::string_view(header).substr(kBearer.size())), admin_hash_);
  }
  const std::string secret = cookie(request.header("cookie"), kCookieName);
  if (secret.empty()) return false;
  const std::lock_guard lock(mutex_);
  request.by_cookie = take(sessions_, secret, false);
  return request.by_cookie;
}

std::optional<Answer> Auth::refuse_forged(const Request& request) {
  if (!request.by_cookie || is_safe(request.method)) return std::nullopt;
  // refuse_foreign() has compared an Origin that is there; a browser always sends one with a POST.
  if (!request.header("origin").empty()) return std::nullopt;
  return problem(403, "a request with the dashboard's cookie must name its Origin");
}

Result<Auth::Login> Auth::make_login() {
  const std::lock_guard lock(mutex_);
  FATHOM_ASSIGN(const std::string code, put(codes_, kCodeLife, kCodes));
  return Login{"/login?code=" + code, (clock_.wall() + kCodeLife).time_since_epoch().count()};
}

std::optional<std::string> Auth::redeem(const std::string& code) {
  const std::lock_guard lock(mutex_);
  if (!take(codes_, code, true)) return std::nullopt;
  auto session = put(sessions_, kSessionLife, kSessions);
  if (!session) return std::nullopt;
  return *session;
}

bool Auth::take(std::deque<Entry>& entries, const std::string& secret, bool once) {
  const TimePoint now = clock_.now();
  std::erase_if(entries, [&](const Entry& entry) { return entry.until <= now; });
  const std::string hash = sha256_hex(secret);
  auto found = entries.end();
  for (auto it = entries.begin(); it != entries.end(); ++it) {
    if (net::equal_constant_time(it->hash, hash)) found = it;
  }
  if (found == entries.end()) return false;
  if (once) entries.erase(found);
  return true;
}

Result<std::string> Auth::put(std::deque<Entry>& entries, Millis life, std::size_t limit) {
  FATHOM_ASSIGN(std::string secret, net::random_hex());
  entries.push_back({sha256_hex(secret), clock_.now() + life});
  if (entries.size() > limit) entries.pop_front();
  return secret;
}

bool join_secret_matches(std::string_view presented, const std::string& secret_hash) {
  const auto token = net::parse_join_token(presented);
  const std::string hash = sha256_hex(token ? std::string_view(token->secret) : presented);
  return net::equal_constant_time(hash, secret_hash);
}

}  // namespace fathom::api
