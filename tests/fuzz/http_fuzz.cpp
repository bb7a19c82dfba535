// Requests as anybody may send them, through the real table of routes and its handlers, without sockets: first line
// "METHOD TARGET", then header lines, an empty line and the body. Whatever comes gets one answer, and none of 500: that
// would be an exception, or a state that nobody thought of.
#include <stdlib.h>

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <future>
#include <sstream>

#include "coordinator/api/coordinator.hpp"
#include "coordinator/api/http/url.hpp"
#include "coordinator/api/router.hpp"

namespace {

using namespace fathom;

// One coordinator for the whole run, in a folder of its own. It listens, since it always does; nobody connects.
struct Running {
  Running() {
    std::string name = (std::filesystem::temp_directory_path() / "fathom-http-fuzz-XXXXXX").string();
    folder = ::mkdtemp(name.data());
    coordinator::Settings settings;
    settings.state = folder + "/state";
    settings.listen = "127.0.0.1:0";
    settings.jobs = 100;
    settings.http_threads = 1;
    auto started = api::Coordinator::start(settings, "fuzz");
    if (!started) std::abort();
    coordinator = std::move(*started);
  }
  ~Running() {
    coordinator.reset();
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }
  std::string folder;
  std::unique_ptr<api::Coordinator> coordinator;
};

api::Request read_request(std::istringstream& text, std::string& target) {
  api::Request request;
  text >> request.method >> target;
  std::string line;
  std::getline(text, line);
  while (std::getline(text, line) && !line.empty()) {
    const auto colon = line.find(':');
    if (colon != std::string::npos) request.headers[line.substr(0, colon)] = line.substr(colon + 1);
  }
  request.body.assign(std::istreambuf_iterator<char>(text), {});
  request.who = "admin";
  request.role = api::Role::admin;
  return request;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Running running;
  std::istringstream text(std::string(reinterpret_cast<const char*>(data), size));
  std::string target;
  api::Request request = read_request(text, target);
  if (!api::parse_target(target, request)) return 0;
  for (const api::Route& route : running.coordinator->routes()) {
    std::vector<std::string> parameters;
    if (route.method != request.method || !api::matches(route.pattern, request.path, parameters)) continue;
    request.parameters = std::move(parameters);
    // Shared: an answer may come after the handler has thrown.
    const auto answered = std::make_shared<std::promise<int>>();
    route.handle(request, [answered](api::Answer answer) { answered->set_value(answer.status); });
    if (answered->get_future().get() == 500) {
      std::fprintf(stderr, "status 500\n");
      std::abort();
    }
    break;
  }
  return 0;
}
