#include "coordinator/api/openapi.hpp"

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>

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
    list.push_back({{"name", name}, {"in", "path"}, {"required", true}, {"schema", {{"type", "string"}}}});
  }
  return list;
}

json operation(const Route& route) {
  json parameters = path_parameters(openapi_path(route.pattern));
  for (const Parameter& parameter : route.parameters) {
    parameters.push_back({{"name", parameter.name},
                          {"in", parameter.header ? "header" : "query"},
                          {"description", parameter.about},
                          {"schema", {{"type", parameter.integer ? "integer" : "string"}}}});
  }
  json answer = {{"description", route.summary}};
  if (!route.type.empty()) answer["content"][route.type] = {{"schema", json::object()}};
  json made = {{"summary", route.summary},
               {"parameters", parameters},
               {"responses",
                {{std::to_string(route.success), answer}, {"default", {{"$ref", "#/components/responses/Problem"}}}}}};
  if (route.body) {
    made["requestBody"] = {{"content", {{"application/json", {{"schema", {{"type", "object"}}}}}}}, {"required", true}};
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
