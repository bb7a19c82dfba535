#include "coordinator/api/http/problem.hpp"

#include <nlohmann/json.hpp>

namespace fathom::api {

int status_of(Errc code) {
  switch (code) {
    case Errc::invalid_argument:
      return 400;
    case Errc::unauthenticated:
      return 401;
    case Errc::permission_denied:
      return 403;
    case Errc::not_found:
      return 404;
    case Errc::already_exists:
    case Errc::failed_precondition:
      return 409;
    case Errc::unavailable:
      return 503;
    case Errc::resource_exhausted:
      return 507;
    case Errc::unsupported:
      return 422;
    case Errc::corrupt:
    case Errc::internal:
      return 500;
  }
  return 500;
}

Answer problem(int status, const std::string& detail) {
  Answer answer;
  answer.status = status;
  answer.type = "application/problem+json";
  answer.body =
      nlohmann::json{{"type", "about:blank"}, {"title", reason_of(status)}, {"status", status}, {"detail", detail}}
          .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  if (status == 401) answer.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"fathom\"");
  return answer;
}

Answer problem(const Error& error) { return problem(status_of(error.code), error.message); }

Answer json_answer(const nlohmann::json& value, int status) {
  Answer answer;
  answer.status = status;
  // Text from logs and files may be no valid UTF-8: it is replaced, never an exception in the middle of an answer.
  answer.body = value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return answer;
}

Answer text_answer(std::string text, const std::string& type) {
  Answer answer;
  answer.type = type;
  answer.body = std::move(text);
  return answer;
}

Answer json_or_problem(const Result<nlohmann::json>& value, int status) {
  return value ? json_answer(*value, status) : problem(value.error());
}

}  // namespace fathom::api
