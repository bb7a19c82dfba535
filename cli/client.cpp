#include "cli/client.hpp"

#include <nlohmann/json.hpp>

#include "common/files.hpp"
#include "common/net/endpoint.hpp"
#include "common/net/tls.hpp"
#include "common/sha256.hpp"
#include "sweeps/sweep.hpp"

namespace fathom::cli {

using nlohmann::json;

namespace {

std::string trimmed(std::string text) {
  const auto end = text.find_last_not_of(" \t\r\n");
  text.resize(end == std::string::npos ? 0 : end + 1);
  return text;
}

Result<std::string> read_line(const fs::path& file, const Context& context) {
  auto text = read_file(file.string(), 4096);
  if (text) return trimmed(std::move(text).value());
  if (text.error().code != Errc::not_found) return text.error();
  return Error{Errc::not_found, "no coordinator has run for the state folder " + context.state.string() + " (no " +
                                    file.string() + "): start one with 'fathom up', or name its folder with --state"};
}

Errc code_of(int status) {
  switch (status) {
    case 400:
    case 422:
      return Errc::invalid_argument;
    case 401:
      return Errc::unauthenticated;
    case 403:
      return Errc::permission_denied;
    case 404:
      return Errc::not_found;
    case 409:
      return Errc::failed_precondition;
    case 413:
    case 429:
    case 507:
      return Errc::resource_exhausted;
    case 503:
      return Errc::unavailable;
    default:
      return Errc::internal;
  }
}

// The mistakes of a sweep file, rendered as `validate` does it.
std::string mistakes(const json& errors, const json& more) {
  std::string out;
  for (const json& error : errors) {
    if (!error.is_object()) continue;
    sweeps::Diagnostic diagnostic;
    diagnostic.file = error.value("file", "");
    diagnostic.line = error.value("line", 0);
    diagnostic.column = error.value("column", 0);
    diagnostic.length = error.value("length", 1);
    diagnostic.message = error.value("message", "");
    diagnostic.text = error.value("text", "");
    out += (out.empty() ? "" : "\n") + trimmed(sweeps::render(diagnostic));
  }
  if (more.is_number_unsigned() && more > 0) out += "\n" + sweeps::more_mistakes(more.get<std::size_t>());
  return out;
}

}  // namespace

std::string encode(const std::string& text) {
  static constexpr char digits[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
                       byte == '-' || byte == '_' || byte == '.' || byte == '~';
    if (plain) {
      out.push_back(c);
    } else {
      out += {'%', digits[byte >> 4], digits[byte & 15]};
    }
  }
  return out;
}

Error problem_of(const net::Response& response) {
  const json body = json::parse(response.body, nullptr, false);
  if (!body.is_object())
    return {code_of(response.status), "the coordinator answered with status " + std::to_string(response.status)};
  const json errors = body.value("errors", json::array());
  if (errors.is_array() && !errors.empty())
    return {code_of(response.status), mistakes(errors, body.value("more", json()))};
  const std::string detail = body.value("detail", "");
  return {code_of(response.status),
          detail.empty() ? body.value("title", "status " + std::to_string(response.status)) : detail};
}

Result<Contact> contact(const Context& context) {
  Contact out;
  FATHOM_ASSIGN(out.address, read_line(address_file(context), context));
  FATHOM_ASSIGN(const net::Endpoint endpoint, net::parse_endpoint(out.address));
  out.host = endpoint.host;
  out.port = endpoint.port;
  FATHOM_ASSIGN(out.token, read_line(token_file(context), context));
  out.ca_file = ca_file(context).string();
  return out;
}

Result<Client> Client::open(const Context& context, Millis timeout) {
  FATHOM_ASSIGN(const Contact found, contact(context));
  net::HttpsOptions options;
  options.host = options.expect_host = found.host;
  options.port = found.port;
  options.bearer = found.token;
  options.timeout = timeout;
  FATHOM_ASSIGN(options.tls, net::client_context({.ca_file = found.ca_file, .ca_sha256 = ""}, net::kAlpnHttp));
  Client client;
  client.address_ = found.address;
  client.http_ = std::make_unique<net::HttpsClient>(std::move(options));
  return client;
}

Result<net::Response> Client::ask(const std::string& method, const std::string& path, const net::Headers& headers,
                                  const std::string& body) {
  auto response = http_->request(method, path, headers, body);
  if (!response) {
    if (response.error().code != Errc::unavailable) return response.error();
    return Error{Errc::unavailable, "the coordinator at " + address_ + " does not answer (" + response.error().message +
                                        "); is it running? 'fathom up' starts it"};
  }
  if (response->status >= 400) return problem_of(*response);
  return response;
}

Result<json> Client::get(const std::string& path) {
  FATHOM_ASSIGN(const net::Response response, ask("GET", path, {}, ""));
  json body = json::parse(response.body, nullptr, false);
  if (body.is_discarded()) return Error{Errc::internal, "the coordinator's answer to GET " + path + " is not JSON"};
  return body;
}

Result<json> Client::post(const std::string& path, const json& body, const net::Headers& headers) {
  net::Headers all = headers;
  all.emplace("Content-Type", "application/json");
  FATHOM_ASSIGN(const net::Response response, ask("POST", path, all, body.dump()));
  json answer = json::parse(response.body, nullptr, false);
  if (answer.is_discarded()) return Error{Errc::internal, "the coordinator's answer to POST " + path + " is not JSON"};
  return answer;
}

Result<json> Client::remove(const std::string& path) {
  FATHOM_ASSIGN(const net::Response response, ask("DELETE", path, {}, ""));
  json answer = json::parse(response.body, nullptr, false);
  if (answer.is_discarded())
    return Error{Errc::internal, "the coordinator's answer to DELETE " + path + " is not JSON"};
  return answer;
}

Result<std::string> Client::text(const std::string& path) {
  FATHOM_ASSIGN(net::Response response, ask("GET", path, {}, ""));
  return std::move(response.body);
}

Result<json> Client::items(const std::string& path) {
  json all = json::array();
  std::string cursor;
  while (true) {
    std::string page = path + (path.find('?') == std::string::npos ? "?" : "&") + "limit=1000";
    if (!cursor.empty()) page += "&cursor=" + encode(cursor);
    FATHOM_ASSIGN(const json answer, get(page));
    const json items = answer.is_object() ? answer.value("items", json()) : json();
    if (!items.is_array()) return Error{Errc::internal, "the coordinator's answer to GET " + path + " is no list"};
    all.insert(all.end(), items.begin(), items.end());
    const json next = answer.value("next", json());
    const std::string following = next.is_string() ? next.get<std::string>() : next.is_null() ? "" : next.dump();
    if (following.empty() || following == cursor) return all;
    cursor = following;
  }
}

Status Client::fetch(const std::string& path, const std::string& file) {
  FATHOM_ASSIGN(const net::Response response, http_->download(path, file));
  return response.status == 200 ? success() : Status(problem_of(response));
}

Status Client::artifact(const std::string& sha256, const std::string& file) {
  FATHOM_TRY(fetch("/api/v1/artifacts/" + encode(sha256), file));
  FATHOM_ASSIGN(const std::string got, sha256_file(file));
  if (got == sha256) return success();
  return Error{Errc::corrupt,
               file + ": what the coordinator sent for artifact " + sha256 + " has another hash; try again"};
}

}  // namespace fathom::cli
