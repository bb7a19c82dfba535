// Requests and answers as the routes see them: no Beast, no sockets. Thread: plain values.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/result.hpp"
#include "coordinator/api/role.hpp"

namespace fathom::api {

// Names in lower case. A header that came twice has its values joined by ", ".
using HeaderMap = std::map<std::string, std::string>;
using QueryMap = std::map<std::string, std::string>;

struct Request {
  std::string method;  // upper case
  std::string path;    // decoded once, without the query; begins with '/'
  QueryMap query;      // decoded; the last of equal names wins
  HeaderMap headers;
  std::string body;
  std::vector<std::string> parameters;  // what the pattern's {names} matched, in order
  std::string peer;                     // address it came from, without the port
  bool by_cookie = false;               // who asks is logged in by the dashboard's cookie, not by a bearer token
  std::string who;                      // name of the token that it came with, or that opened the session; "": nobody
  Role role = Role::viewer;             // of that token

  // "" where there is none.
  [[nodiscard]] const std::string& header(const std::string& name) const;
  [[nodiscard]] const std::string& value(const std::string& name) const;
};

// A body that is made piece by piece. Thread: next() on the session's strand, one call at a time; it may read a disk.
class BodySource {
 public:
  virtual ~BodySource() = default;
  [[nodiscard]] virtual std::uint64_t size() const = 0;  // bytes in all
  // The next bytes, at most about 1 MiB; empty after the last. An error cuts the connection.
  virtual Result<std::string> next() = 0;
};

// An endless body: text that becomes available now and then. Thread: take() on the session's strand.
class LiveSource {
 public:
  virtual ~LiveSource() = default;
  // `wake` may be called from any thread whenever take() may have something; it does not block. Called once.
  virtual void start(std::function<void()> wake) = 0;
  // Everything there is to send now; empty: nothing.
  virtual std::string take() = 0;
};

struct Answer {
  int status = 200;
  std::string type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers;  // beside type, length and the security headers
  std::string body;
  std::unique_ptr<BodySource> source;  // instead of body
  std::shared_ptr<LiveSource> live;    // instead of body
};

// Called exactly once, from any thread.
using Respond = std::function<void(Answer)>;

// The reason phrase of a status, as RFC 9110 has it.
std::string_view reason_of(int status);

}  // namespace fathom::api
