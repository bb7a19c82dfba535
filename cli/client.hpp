// The coordinator's REST interface (docs/protocol.md) for commands: finds address, CA and token in the state folder,
// speaks JSON, and turns problem answers into Errors. Thread: one.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "cli/context.hpp"
#include "common/net/https_client.hpp"
#include "common/result.hpp"

namespace fathom::cli {

class Client {
 public:
  // Reads the files; connects at the first request. not_found: no coordinator has run for this state folder.
  static Result<Client> open(const Context& context, Millis timeout = Millis{30'000});

  Result<nlohmann::json> get(const std::string& path);
  Result<nlohmann::json> post(const std::string& path, const nlohmann::json& body, const net::Headers& headers = {});
  Result<nlohmann::json> remove(const std::string& path);  // DELETE
  Result<std::string> text(const std::string& path);
  // The items of every page of a list.
  Result<nlohmann::json> items(const std::string& path);
  // GET into `file`, whole or not at all.
  Status fetch(const std::string& path, const std::string& file);
  // Fetches an artifact into `file` and checks its hash; corrupt when it is another.
  Status artifact(const std::string& sha256, const std::string& file);

  [[nodiscard]] const std::string& address() const { return address_; }

 private:
  Result<net::Response> ask(const std::string& method, const std::string& path, const net::Headers& headers,
                            const std::string& body);

  std::string address_;
  std::unique_ptr<net::HttpsClient> http_;
};

// How the CLI reaches the coordinator of a state folder.
struct Contact {
  std::string address;  // HOST:PORT
  std::string host;
  std::uint16_t port = 0;
  std::string ca_file;
  std::string token;
};
Result<Contact> contact(const Context& context);

// An Error for an answer of status >= 400: a sweep's mistakes one a line, else the problem's detail.
Error problem_of(const net::Response& response);

// One path segment or query value, percent-encoded.
std::string encode(const std::string& text);

}  // namespace fathom::cli
