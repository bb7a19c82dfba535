#include "coordinator/api/dashboard.hpp"

#include <map>

#include "common/sha256.hpp"
#include "coordinator/api/http/problem.hpp"

namespace fathom::api {
namespace {

struct Asset {
  std::string_view bytes;
  std::string tag;
};

const std::map<std::string, Asset, std::less<>>& assets() {
  static const auto made = [] {
    std::map<std::string, Asset, std::less<>> map;
    for (const EmbeddedFile& file : embedded_files()) {
      map.emplace(file.path, Asset{file.bytes, "\"" + sha256_hex(file.bytes).substr(0, 32) + "\""});
    }
    return map;
  }();
  return made;
}

}  // namespace

std::string media_type(std::string_view path) {
  static const std::map<std::string_view, const char*> types = {{"html", "text/html; charset=utf-8"},
                                                                {"css", "text/css; charset=utf-8"},
                                                                {"js", "text/javascript; charset=utf-8"},
                                                                {"mjs", "text/javascript; charset=utf-8"},
                                                                {"json", "application/json"},
                                                                {"svg", "image/svg+xml"},
                                                                {"png", "image/png"},
                                                                {"ico", "image/x-icon"},
                                                                {"woff2", "font/woff2"},
                                                                {"txt", "text/plain; charset=utf-8"}};
  const auto dot = path.rfind('.');
  const auto found = dot == std::string_view::npos ? types.end() : types.find(path.substr(dot + 1));
  return found == types.end() ? "application/octet-stream" : found->second;
}

Answer dashboard_file(const std::string& path, const Request& request) {
  const auto found = assets().find(path);
  if (found == assets().end()) return problem(404, "the dashboard has no file " + path);
  Answer answer;
  answer.type = media_type(path);
  answer.headers = {{"ETag", found->second.tag}, {"Cache-Control", "no-cache"}};
  if (request.header("if-none-match") == found->second.tag) {
    answer.status = 304;
  } else {
    answer.body = found->second.bytes;
  }
  return answer;
}

}  // namespace fathom::api
