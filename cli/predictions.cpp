#include "cli/predictions.hpp"

#include <cerrno>

#include <sys/wait.h>

#include <fmt/format.h>

#include "cli/process.hpp"
#include "common/files.hpp"
#include "common/wait_policy.hpp"
#include "data/dataset.hpp"

namespace fathom::cli {

using nlohmann::json;

namespace {

constexpr const char* kAdvice = "; --root DIR names the data root, without --predictions none is needed";

Result<fs::path> model_of(const CollectedJob& job, const fs::path& root) {
  const json path = job.detail.value(json::json_pointer("/settings/model/path"), json());
  if (!path.is_string())
    return Error{Errc::failed_precondition, "its base model has drawn weights, of which there is no folder"};
  FATHOM_ASSIGN(const fs::path folder, data::below_root(root, path.get<std::string>()));
  std::error_code ignored;
  if (fs::is_directory(folder, ignored)) return folder;
  return Error{Errc::not_found, "the base model is not in " + folder.string() + kAdvice};
}

Status check(const CollectedJob& job, const std::string& split, const fs::path& root) {
  FATHOM_TRY(model_of(job, root));
  const json task = job.detail.value(json::json_pointer("/settings/task"), json());
  const auto file = data::split_file(root, task, data::split_named(split));
  if (file) return success();
  return Error{file.error().code,
               fmt::format("the split {} of its task cannot be read: {}{}", split, file.error().message, kAdvice)};
}

Error of_job(const CollectedJob& job, const Error& error) {
  return {error.code, fmt::format("no predictions of {}: {}", job.folder, error.message)};
}

// Runs a program to its end. `log`: a file for what it says.
Status run_to_end(const std::vector<std::string>& arguments, const fs::path& log) {
  FATHOM_ASSIGN(const pid_t pid, start_process(arguments, log.string()));
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return system_error(errno, "wait for", arguments[0]);
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return success();
  const std::string told = last_words(log.string());
  return Error{Errc::internal, told.empty() ? "fathom-trainer " + describe_exit(status) : told};
}

}  // namespace

Status check_predictable(const std::vector<CollectedJob>& jobs, const std::string& split, const fs::path& root) {
  for (const CollectedJob& job : jobs) {
    if (job.folder.empty()) continue;
    if (auto able = check(job, split, root); !able) return of_job(job, able.error());
  }
  return success();
}

Status write_predictions(const Context& context, const std::vector<CollectedJob>& jobs, const std::string& split,
                         const fs::path& root, const fs::path& top) {
  set_wait_policy();
  const fs::path log = top / "predict.log";
  for (const CollectedJob& job : jobs) {
    if (job.folder.empty()) continue;
    const fs::path table = top / "predictions" / (job.folder + ".tsv");
    FATHOM_TRY(make_folders(table.parent_path().string()));
    FATHOM_ASSIGN(const fs::path model, model_of(job, root));
    const Status done = run_to_end({(context.programs / "fathom-trainer").string(), "--log-level", "warn", "--root",
                                    root.string(), "predict", "--model", model.string(), "--adapter",
                                    (top / job.folder).string(), "--split", split, "--out", table.string()},
                                   log);
    if (!done) return of_job(job, done.error());
  }
  std::error_code ignored;
  fs::remove(log, ignored);
  return success();
}

}  // namespace fathom::cli
