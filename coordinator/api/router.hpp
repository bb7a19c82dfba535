// The table of routes, and the one place where a request is matched, checked and given to its handler. The OpenAPI
// document is made from the same table.
//
// Thread: built once, then used from any thread. Owner: the coordinator. Failures: 404, 405 (with Allow), and those of
// Auth; a handler answers its own.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "coordinator/api/audit_log.hpp"
#include "coordinator/api/auth.hpp"
#include "coordinator/api/failure_limit.hpp"
#include "coordinator/api/http/session.hpp"

namespace fathom::api {

enum class Access {
  open,  // anybody who reaches the port: no data of anybody
  viewer,
  submitter,
  admin,
};
// The role that a route asks for; of no meaning for an open one.
constexpr Role role_for(Access access) { return static_cast<Role>(static_cast<int>(access) - 1); }
static_assert(role_for(Access::viewer) == Role::viewer && role_for(Access::admin) == Role::admin);

// A query parameter or header of a route, for the OpenAPI document.
struct Parameter {
  std::string name;
  std::string about;
  bool header = false;
  bool integer = false;
  std::uint64_t low = 0, high = 0;  // of an integer
  std::string pattern = {};         // of a text; "": any
};

struct Route {
  std::string method;
  std::string pattern;            // "/api/v1/sweeps/{sweep}/jobs/{job}"; a last part "{name...}" takes the rest
  Access access = Access::admin;  // a route that forgets to say so is closed
  std::string summary;
  std::vector<Parameter> parameters;
  int success = 200;
  std::string type = "application/json";
  // `Request::parameters` holds what the pattern matched.
  std::function<void(const Request&, Respond)> handle;
  std::string body = {};           // JSON schema of the body that it takes; "": none
  std::vector<int> failures = {};  // statuses of its own, beside those that every route has (openapi.cpp)
};

// What happened to a request, for counters and the log.
struct Served {
  std::string method;
  std::string pattern;  // of the route; "" where none matched
  int status = 0;
  double seconds = 0;
};

// What the router tells the rest of the coordinator.
struct RouterHooks {
  std::function<void(const Served&)> served;
  std::function<void(const AuditEntry&, int status)> audited;  // changes, logins and refusals (audit_log.hpp)
};

class Router final : public HttpHandler {
 public:
  using Pool = std::function<void(std::function<void()>)>;
  // Handlers run by `pool`, where they may block for a query without holding up any other connection.
  Router(Auth& auth, std::vector<Route> routes, const Clock& clock, Pool pool, RouterHooks hooks);

  [[nodiscard]] std::optional<Answer> refuse(Request& head) override;
  void handle(Request request, Respond respond) override;
  [[nodiscard]] const std::vector<Route>& routes() const { return routes_; }

 private:
  [[nodiscard]] const Route* find(const Request& request, std::vector<std::string>* parameters,
                                  std::string* allowed) const;
  [[nodiscard]] std::optional<Answer> check(Request& head);
  [[nodiscard]] Answer unknown(const Request& head);

  void run(const Route& route, const Request& request, Respond respond) const;

  Auth& auth_;
  std::vector<Route> routes_;
  FailureLimit failures_;
  Pool pool_;
  RouterHooks hooks_;
};

// Whether `path` has the form of `pattern`; the parts in braces go to `parameters`.
bool matches(std::string_view pattern, std::string_view path, std::vector<std::string>& parameters);

}  // namespace fathom::api
