// The whole coordinator in one object: stores, core, sessions, listener and the threads that carry them. The program's
// main() and tests make one.
//
// Thread: start(), stop() and destruction on one thread; the rest from any. Owner: the caller. Failures: start() says
// why; later a broken store calls `fatal` once, after which nothing is acknowledged any more.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "common/net/endpoint.hpp"
#include "common/result.hpp"
#include "coordinator/settings.hpp"

namespace fathom::api {

struct Route;

class Coordinator {
 public:
  // Opens or makes the state folder, replays the log, listens. `fatal` runs on an inner thread. Errors: those of
  // StateFolder, of the stores, of Listener.
  static Result<std::unique_ptr<Coordinator>> start(const coordinator::Settings& settings, const std::string& version,
                                                    std::function<void(const Error&)> fatal = {});
  // As stop().
  ~Coordinator();
  Coordinator(const Coordinator&) = delete;
  Coordinator& operator=(const Coordinator&) = delete;

  // Where it listens, with the real port.
  [[nodiscard]] const net::Endpoint& endpoint() const;
  // The table of routes, for tests.
  [[nodiscard]] const std::vector<Route>& routes() const;

  // Accepts nothing more, lets everything decided become durable (at most five seconds) and ends the threads.
  void stop();

 private:
  class Impl;
  explicit Coordinator(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace fathom::api
