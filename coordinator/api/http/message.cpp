#include "coordinator/api/http/message.hpp"

namespace fathom::api {
namespace {

const std::string& find_or_empty(const std::map<std::string, std::string>& map, const std::string& name) {
  static const std::string empty;
  const auto found = map.find(name);
  return found == map.end() ? empty : found->second;
}

}  // namespace

const std::string& Request::header(const std::string& name) const { return find_or_empty(headers, name); }
const std::string& Request::value(const std::string& name) const { return find_or_empty(query, name); }

std::string_view reason_of(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 421:
      return "Misdirected Request";
    case 422:
      return "Unprocessable Content";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 503:
      return "Service Unavailable";
    case 507:
      return "Insufficient Storage";
    default:
      return "Unknown";
  }
}

}  // namespace fathom::api
