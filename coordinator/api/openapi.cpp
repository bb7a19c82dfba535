#include "coordinator/api/openapi.hpp"

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>
#include <set>

namespace fathom::api {
namespace {

using nlohmann::json;

// "{path...}" is our own mark for "the rest"; OpenAPI knows plain names only.
std::string openapi_path(std::string pattern) {
  const auto dots = pattern.find("...");
  if (dots != std::string::npos) pattern.erase(dots, 3);
  return pattern;
}

json path_parameters(const std::string& path) {
  json list = json::array();
  for (auto open = path.find('{'); open != std::string::npos; open = path.find('{', open + 1)) {
    const std::string name = path.substr(open + 1, path.find('}', open) - open - 1);
    list.push_back(
        {{"name", name}, {"in", "path"}, {"required", true}, {"schema", {{"type", "string"}, {"minLength", 1}}}});
  }
  return list;
}

json schema_of(const Parameter& parameter) {
  if (parameter.integer) {
    return {{"type", "integer"}, {"minimum", parameter.low}, {"maximum", parameter.high}};
  }
  json schema = {{"type", "string"}};
  if (!parameter.pattern.empty()) schema["pattern"] = parameter.pattern;
  return schema;
}

// What a request can be answered with beside its success, and why, by the rules that hold for every route.
std::set<int> failures_of(const Route& route) {
  std::set<int> statuses{400, 421, 431, 500, 503};  // no HTTP, a foreign Host, too large a head, our own trouble
  if (route.access != Access::open) statuses.insert({401, 403, 429});
  if (route.access == Access::open) statuses.insert(403);  // a foreign Origin
  if (route.pattern.find('{') != std::string::npos || !route.parameters.empty()) statuses.insert(404);
  if (route.method != "GET") statuses.insert({413, 507});
  statuses.insert(route.failures.begin(), route.failures.end());
  return statuses;
}

json responses_of(const Route& route) {
  json answer = {{"description", route.summary}};
  if (!route.type.empty()) answer["content"][route.type] = {{"schema", json::object()}};
  json responses = {{std::to_string(route.success), answer}};
  for (const int status : failures_of(route)) {
    json& response = responses[std::to_string(status)] = {{"$ref", "#/components/responses/Problem"}};
    const bool own = std::ranges::count(route.failures, status) > 0;
    // A page for people says its own failures in its own way.
    if (own && route.type == "text/plain") {
      response = {{"description", "Why not"}, {"content", {{route.type, {{"schema", json::object()}}}}}};
    }
  }
  return responses;
}

json operation(const Route& route) {
  json parameters = path_parameters(openapi_path(route.pattern));
  for (const Parameter& parameter : route.parameters) {
    parameters.push_back({{"name", parameter.name},
                          {"in", parameter.header ? "header" : "query"},
                          {"description", parameter.about},
                          {"schema", schema_of(parameter)}});
  }
  json made = {{"summary", route.summary}, {"parameters", parameters}, {"responses", responses_of(route)}};
  if (!route.body.empty()) {
    made["requestBody"] = {{"content", {{"application/json", {{"schema", json::parse(route.body)}}}}},
                           {"required", true}};
  }
  if (route.access == Access::open) {
    made["security"] = json::array();
  } else {
    made["description"] = std::string("For tokens with the role ") + name_of(role_for(route.access)) + " or above.";
  }
  return made;
}

json components() {
  json properties = {{"type", {{"type", "string"}}},
                     {"title", {{"type", "string"}}},
                     {"status", {{"type", "integer"}}},
                     {"detail", {{"type", "string"}}}};
  return {
      {"securitySchemes",
       {{"token", {{"type", "http"}, {"scheme", "bearer"}}},
        {"cookie", {{"type", "apiKey"}, {"in", "cookie"}, {"name", kCookieName}}}}},
      {"schemas", {{"Problem", {{"type", "object"}, {"properties", properties}}}}},
      {"responses",
       {{"Problem",
         {{"description", "What went wrong (RFC 9457)"},
          {"content", {{"application/problem+json", {{"schema", {{"$ref", "#/components/schemas/Problem"}}}}}}}}}}}};
}

}  // namespace

json openapi_document(const std::vector<Route>& routes, const std::string& version) {
  json paths = json::object();
  for (const Route& route : routes) {
    std::string method = route.method;
    std::transform(method.begin(), method.end(), method.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    paths[openapi_path(route.pattern)][method] = operation(route);
  }
  return {{"openapi", "3.1.0"},
          {"info",
           {{"title", "Fathom coordinator"},
            {"version", version},
            {"description", "docs/protocol.md explains every object."}}},
          {"security", json::array({json{{"token", json::array()}}, json{{"cookie", json::array()}}})},
          {"paths", paths},
          {"components", components()}};
}

}  // namespace fathom::api
