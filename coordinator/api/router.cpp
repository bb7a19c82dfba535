#include "coordinator/api/router.hpp"

#include <spdlog/spdlog.h>

#include <chrono>

#include "coordinator/api/http/problem.hpp"

namespace fathom::api {
namespace {

std::string_view take_part(std::string_view& path) {
  const auto slash = path.find('/', 1);
  const std::string_view part = path.substr(1, slash == std::string_view::npos ? slash : slash - 1);
  path = slash == std::string_view::npos ? std::string_view{} : path.substr(slash);
  return part;
}

AuditEntry entry_of(const Request& request) {
  return {request.who, request.who.empty() ? "" : name_of(request.role), request.peer, request.method, request.path, 0};
}

}  // namespace

bool matches(std::string_view pattern, std::string_view path, std::vector<std::string>& parameters) {
  while (!pattern.empty() && !path.empty()) {
    const std::string_view whole = path;
    const std::string_view wanted = take_part(pattern);
    const std::string_view part = take_part(path);
    if (wanted.ends_with("...}")) {
      parameters.emplace_back(whole.substr(1));
      return true;
    }
    if (wanted.starts_with('{')) {
      if (part.empty()) return false;
      parameters.emplace_back(part);
    } else if (wanted != part) {
      return false;
    }
  }
  return pattern.empty() && path.empty();
}

Router::Router(Auth& auth, std::vector<Route> routes, const Clock& clock, Pool pool, RouterHooks hooks)
    : auth_(auth), routes_(std::move(routes)), failures_(clock), pool_(std::move(pool)), hooks_(std::move(hooks)) {}

const Route* Router::find(const Request& request, std::vector<std::string>* parameters, std::string* allowed) const {
  for (const Route& route : routes_) {
    std::vector<std::string> matched;
    if (!matches(route.pattern, request.path, matched)) continue;
    if (route.method == request.method) {
      if (parameters != nullptr) *parameters = std::move(matched);
      return &route;
    }
    if (allowed != nullptr) *allowed += (allowed->empty() ? "" : ", ") + route.method;
  }
  return nullptr;
}

// Nobody knows who asks.
Answer Router::unknown(const Request& head) {
  const Millis wait = failures_.fail(head.peer);
  if (wait.count() == 0) {
    return problem(401,
                   "this needs a token as \"Authorization: Bearer TOKEN\" (the admin's is the file \"token\" in the "
                   "coordinator's state folder), or a browser that \"fathom dashboard\" logged in");
  }
  Answer answer = problem(429, "too many requests of your address came without a good token; wait a little");
  answer.headers.emplace_back("Retry-After", std::to_string((wait.count() + 999) / 1000));
  return answer;
}

std::optional<Answer> Router::check(Request& head) {
  if (auto foreign = auth_.refuse_foreign(head)) return foreign;
  std::string allowed;
  const Route* route = find(head, nullptr, &allowed);
  const bool open = route != nullptr && route->access == Access::open;
  if (open) return std::nullopt;
  // Whoever is not logged in learns nothing about which paths exist.
  if (!auth_.admit(head)) return unknown(head);
  if (auto forged = Auth::refuse_forged(head)) return forged;
  if (route != nullptr) {
    if (head.role >= role_for(route->access)) return std::nullopt;
    return problem(403, std::string("this needs a token with the role ") + name_of(role_for(route->access)) + "; \"" +
                            head.who + "\" is a " + name_of(head.role) + "'s");
  }
  if (allowed.empty()) return problem(404, "there is nothing at " + head.path);
  Answer answer = problem(405, head.path + " takes " + allowed);
  answer.headers.emplace_back("Allow", allowed);
  return answer;
}

std::optional<Answer> Router::refuse(Request& head) {
  auto refusal = check(head);
  if (refusal) {
    hooks_.served({head.method, "", refusal->status, 0});
    if (refusal->status == 401 || refusal->status == 403 || refusal->status == 429)
      hooks_.audited(entry_of(head), refusal->status);
  }
  return refusal;
}

void Router::handle(Request request, Respond respond) {
  const Route* route = find(request, &request.parameters, nullptr);
  if (route == nullptr) return respond(problem(404, "there is nothing at " + request.path));
  const auto began = std::chrono::steady_clock::now();
  // The log and whatever changes something is the admin's to know; so is who logged in.
  const bool audited = route->method != "GET" || route->access == Access::admin || route->pattern == "/login";
  const auto entry = audited ? std::make_shared<const AuditEntry>(entry_of(request)) : nullptr;
  Respond observed = [this, route, began, entry, respond = std::move(respond)](Answer answer) {
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    hooks_.served({route->method, route->pattern, answer.status, took.count()});
    if (entry) hooks_.audited(*entry, answer.status);
    respond(std::move(answer));
  };
  pool_(
      [this, route, request = std::move(request), observed = std::move(observed)] { run(*route, request, observed); });
}

void Router::run(const Route& route, const Request& request, Respond respond) const {
  try {
    route.handle(request, respond);
  } catch (const std::exception& e) {
    spdlog::error("request failed method={} route={} error=\"{}\"", route.method, route.pattern, e.what());
    respond(problem(500, "the coordinator could not answer; its log says why"));
  }
}

}  // namespace fathom::api
