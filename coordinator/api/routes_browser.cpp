// What a browser needs: one-time logins, the dashboard's files, and the document that describes it all.
#include <nlohmann/json.hpp>

#include "coordinator/api/dashboard.hpp"
#include "coordinator/api/http/problem.hpp"
#include "coordinator/api/openapi.hpp"
#include "coordinator/api/routes.hpp"

namespace fathom::api {
namespace {

void make_login(Services& services, const Request& request, const Respond& respond) {
  const auto login = services.auth.make_login({request.who, request.role});
  if (!login) return respond(problem(login.error()));
  respond(json_answer({{"path", login->path}, {"expires", login->expires}}, 201));
}

void login(Services& services, const Request& request, const Respond& respond) {
  const auto session = services.auth.redeem(request.value("code"));
  if (!session) {
    Answer answer =
        text_answer("This login link was used already or is too old. Run \"fathom dashboard\" for a new one.\n");
    answer.status = 403;
    return respond(std::move(answer));
  }
  Answer answer = text_answer("");
  answer.status = 303;
  // No Secure: `fathom dashboard` forwards plain HTTP on the loopback to us; this port itself speaks TLS only.
  answer.headers = {{"Location", "/"},
                    {"Set-Cookie", std::string(kCookieName) + "=" + session->cookie +
                                       "; Path=/; HttpOnly; SameSite=Strict; Max-Age=43200"}};
  respond(std::move(answer));
}

Route file_route(const std::string& pattern, const std::string& summary) {
  Route route = route_of("GET", pattern, Access::open, summary, [](const Request& request, const Respond& respond) {
    respond(dashboard_file(request.parameters.empty() ? "index.html" : request.parameters[0], request));
  });
  route.type = "text/html";
  return route;
}

}  // namespace

void add_browser_routes(std::vector<Route>& routes, Services& services) {
  // The login is of the role of whoever asks.
  routes.push_back(route_of(
      "POST", "/api/v1/logins", Access::viewer, "A one-time login for a browser",
      [&services](const Request& request, const Respond& respond) { make_login(services, request, respond); }));
  routes.back().success = 201;

  routes.push_back(
      route_of("GET", "/login", Access::open, "Trades a one-time code for the cookie",
               [&services](const Request& request, const Respond& respond) { login(services, request, respond); }));
  routes.back().parameters = {{"code", "of POST /api/v1/logins", false, false}};
  routes.back().success = 303;
  routes.back().type = "text/plain";
  routes.back().failures = {403};

  // The files hold no data: a browser that is not logged in sees the page, which says how to log in.
  routes.push_back(file_route("/", "The dashboard"));
  routes.push_back(file_route("/static/{file...}", "The dashboard's files"));
  routes.back().type = "*/*";

  routes.push_back(route_of("GET", "/api/v1/openapi.json", Access::viewer, "This document", {}));
  // Made last, so that it describes every route, itself included.
  auto document = std::make_shared<const nlohmann::json>(openapi_document(routes, services.version));
  routes.back().handle = [document](const Request&, const Respond& respond) { respond(json_answer(*document)); };
}

}  // namespace fathom::api
