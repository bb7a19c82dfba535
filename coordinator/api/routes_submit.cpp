// POST /api/v1/sweeps: everything about the file is checked here, on an HTTP thread; the core only numbers the jobs.
#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

#include <nlohmann/json.hpp>

#include "common/canonical_json.hpp"
#include "coordinator/api/http/problem.hpp"
#include "coordinator/api/routes.hpp"
#include "coordinator/notify/notifier.hpp"
#include "coordinator/store/read_model.hpp"
#include "sweeps/file/merge.hpp"
#include "sweeps/sweep.hpp"

namespace fathom::api {
namespace {

using nlohmann::json;

struct Submission {
  std::string yaml;
  std::string name;
  std::string extends;  // a sweep's id
  sweeps::ParseOptions options;
};

Error bad(const std::string& text) { return {Errc::invalid_argument, text}; }

// A text of the body; "" where it is absent and need not be there.
Result<std::string> text_of(const json& body, const char* key, bool required) {
  const auto found = body.find(key);
  if (found == body.end() || found->is_null()) {
    if (required) return bad(std::string("the body needs \"") + key + "\"");
    return std::string();
  }
  if (!found->is_string()) return bad(std::string("\"") + key + "\" must be a text");
  return found->get<std::string>();
}

// The texts of included files travel with the submission: the coordinator opens no path that a user names.
Status read_includes(const json& body, sweeps::ParseOptions& options) {
  const auto includes = body.find("includes");
  if (includes == body.end() || includes->is_null()) return success();
  const bool texts = includes->is_object() &&
                     std::all_of(includes->begin(), includes->end(), [](const json& text) { return text.is_string(); });
  if (!texts) return bad("\"includes\" must be texts by file name");
  options.read_include =
      [files = includes->get<std::map<std::string, std::string>>()](const std::string& path) -> Result<std::string> {
    const auto found = files.find(path);
    if (found != files.end()) return found->second;
    return Error{Errc::not_found, "its text did not come with the submission"};
  };
  return success();
}

Result<Submission> read_submission(const Request& request) {
  const json body = json::parse(request.body, nullptr, false);
  if (!body.is_object()) return bad("the body must be a JSON object with \"yaml\": the text of the sweep file");
  for (const auto& [key, value] : body.items()) {
    if (key != "yaml" && key != "file" && key != "set" && key != "name" && key != "includes" && key != "extends")
      return bad("the body has an unknown key \"" + key + "\"");
  }
  Submission made;
  FATHOM_ASSIGN(made.yaml, text_of(body, "yaml", true));
  FATHOM_ASSIGN(made.name, text_of(body, "name", false));
  FATHOM_ASSIGN(made.extends, text_of(body, "extends", false));
  FATHOM_ASSIGN(const std::string file, text_of(body, "file", false));
  if (!file.empty()) made.options.file = file;
  FATHOM_TRY(read_includes(body, made.options));
  const auto set = body.find("set");
  if (set == body.end() || set->is_null()) return made;
  if (!set->is_array()) return bad("\"set\" must be a list of \"key=value\" texts");
  for (const json& one : *set) {
    if (!one.is_string()) return bad("\"set\" must be a list of \"key=value\" texts");
    made.options.set.push_back(one.get<std::string>());
  }
  return made;
}

// 422 with every mistake at its line, as the command line shows it.
Answer mistakes(const sweeps::ParseResult& parsed) {
  const std::vector<sweeps::Diagnostic>& errors = parsed.errors;
  json list = json::array();
  for (const sweeps::Diagnostic& error : errors) {
    list.push_back({{"file", error.file},
                    {"line", error.line},
                    {"column", error.column},
                    {"length", error.length},
                    {"message", error.message},
                    {"text", error.text}});
  }
  const std::size_t all = errors.size() + parsed.more;
  const std::string count = all == 1 ? "1 mistake" : std::to_string(all) + " mistakes";
  Answer answer = problem(422, "the sweep file has " + count + "; the first: " + errors.front().message);
  json body = json::parse(answer.body);
  body["errors"] = std::move(list);
  body["more"] = parsed.more;  // that the list does not have
  answer.body = json_answer(body).body;
  return answer;
}

Answer created(const Applied& applied, const std::vector<std::string>& notes) {
  const auto& submitted = std::get<core::Submitted>(applied.answer);
  Answer answer = json_answer({{"id", submitted.id}, {"jobs", submitted.jobs}, {"notes", notes}}, 201);
  answer.headers.emplace_back("Location", "/api/v1/sweeps/" + submitted.id);
  return answer;
}

// An answer that the thread which asked gives itself if it comes in time, since that one has nothing else to do.
class Meeting {
 public:
  // True: who asked takes it.
  bool bring(const Result<Applied>& applied) {
    const std::lock_guard lock(mutex_);
    if (!left_) applied_ = applied;
    return !left_;
  }
  // Nothing: it has not come; who brings it gives it on.
  std::optional<Result<Applied>> take_or_leave() {
    const std::lock_guard lock(mutex_);
    left_ = true;
    return std::move(applied_);
  }

 private:
  std::mutex mutex_;
  bool left_ = false;
  std::optional<Result<Applied>> applied_;
};

void answer(Services& services, const Respond& respond, const Result<Applied>& applied, const sweeps::Plan& plan) {
  if (!applied) return respond(problem(applied.error()));
  // Tables of many jobs take a while: who asks for this sweep waits for them, not who submits it.
  services.read.expect(applied->seq);
  respond(created(*applied, plan.notes));
}

void decide(Services& services, core::SubmitSweep command, Respond respond) {
  const core::PlanPtr plan = command.plan;
  auto meeting = std::make_shared<Meeting>();
  services.runtime.apply_here(std::move(command), [&services, respond, plan, meeting](const Result<Applied>& applied) {
    if (meeting->bring(applied)) return;
    services.pool([&services, respond, plan, applied] { answer(services, respond, applied, *plan); });
  });
  if (const auto applied = meeting->take_or_leave()) answer(services, respond, *applied, *plan);
}

void submit(Services& services, const Request& request, Respond respond) {
  if (auto admitted = services.events.admit(); !admitted) return respond(problem(admitted.error()));
  auto submission = read_submission(request);
  if (!submission) return respond(problem(submission.error()));
  const auto key = idempotency_key(request);
  if (!key) return respond(problem(key.error()));

  submission->options.with_plan = true;
  auto parsed = sweeps::parse(submission->yaml, submission->options);
  if (!parsed.errors.empty()) return respond(mistakes(parsed));
  std::optional<sweeps::Plan>& plan = parsed.plan;
  if (!submission->extends.empty()) {
    parsed.sweep.resolved["extends"] = submission->extends;
    plan->extends = submission->extends;
    plan->notes.push_back("jobs go on from those of " + submission->extends + " that trained fewer epochs");
  }
  if (plan->jobs.size() > services.max_jobs) {
    return respond(problem(422, "the sweep has " + std::to_string(plan->jobs.size()) +
                                    " jobs; this coordinator takes at most " + std::to_string(services.max_jobs) +
                                    " (limits.jobs)"));
  }
  if (const auto hooks = services.notifier.check(plan->notify); !hooks)
    return respond(problem(422, hooks.error().message));
  core::SubmitSweep command;
  command.resolved = canonical_json(parsed.sweep.resolved);
  // What is kept makes the same jobs by itself: for collect, and for who forks the sweep.
  const bool whole = submission->options.set.empty() && !submission->options.read_include;
  command.yaml = whole ? std::move(submission->yaml) : sweeps::whole_file(submission->yaml, submission->options).yaml;
  command.name = std::move(submission->name);
  command.file = submission->options.file;
  command.idempotency_key = *key;
  command.expander_version = sweeps::kExpanderVersion;
  command.plan = std::make_shared<const sweeps::Plan>(std::move(*plan));
  decide(services, std::move(command), std::move(respond));
}

}  // namespace

void add_submit_route(std::vector<Route>& routes, Services& services) {
  Route route =
      route_of("POST", "/api/v1/sweeps", Access::submitter, "Submit a sweep file; answered when it is durable",
               [&services](const Request& request, Respond respond) { submit(services, request, std::move(respond)); });
  route.parameters = {{"Idempotency-Key", "The same key gets the same answer and makes no second sweep", true, false}};
  route.success = 201;
  route.body = R"({"type": "object", "required": ["yaml"], "additionalProperties": false, "properties": {
    "yaml": {"type": "string"}, "file": {"type": ["string", "null"]}, "name": {"type": ["string", "null"]},
    "extends": {"type": ["string", "null"]},
    "set": {"type": ["array", "null"], "items": {"type": "string"}},
    "includes": {"type": ["object", "null"], "additionalProperties": {"type": "string"}}}})";
  route.failures = {409, 422};
  routes.push_back(std::move(route));
}

}  // namespace fathom::api
