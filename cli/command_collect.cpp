// collect: checkpoints and tables of a sweep in one folder, whole or not at all.
#include <cerrno>
#include <fstream>
#include <set>

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/benchmarks.hpp"
#include "cli/client.hpp"
#include "cli/collected.hpp"
#include "cli/commands.hpp"
#include "cli/curves.hpp"
#include "cli/predictions.hpp"
#include "cli/result_table.hpp"
#include "cli/tables.hpp"
#include "common/files.hpp"
#include "common/sha256.hpp"

namespace fathom::cli {

using nlohmann::json;
using nlohmann::ordered_json;

namespace {

constexpr int kManifestSchema = 1;

// A relative path from the coordinator that stays below its folder.
bool is_safe(const std::string& path) {
  const fs::path normal = fs::path(path).lexically_normal();
  return !path.empty() && normal.is_relative() && *normal.begin() != ".." && path.find('\0') == std::string::npos;
}

// The folder while it is being written, beside its final place; removed unless finish() has run.
class StagedFolder {
 public:
  static Result<StagedFolder> make(const fs::path& out) {
    std::error_code error;
    StagedFolder staged;
    staged.out_ = fs::absolute(out, error).lexically_normal();
    if (staged.out_.filename().empty()) staged.out_ = staged.out_.parent_path();
    // Only an earlier collection may be replaced: never somebody's own folder.
    if (fs::exists(staged.out_, error) && !fs::is_empty(staged.out_, error) &&
        !fs::exists(staged.out_ / "manifest.json", error)) {
      return Error{Errc::already_exists,
                   staged.out_.string() + " holds something else; name another folder with --out"};
    }
    staged.part_ = staged.out_;
    staged.part_ += fmt::format(".part-{}", ::getpid());
    FATHOM_TRY(make_folders(staged.part_.string()));
    return staged;
  }
  StagedFolder(StagedFolder&& other) noexcept : out_(std::move(other.out_)), part_(std::exchange(other.part_, {})) {}
  StagedFolder& operator=(StagedFolder&&) = delete;
  ~StagedFolder() {
    std::error_code ignored;
    if (!part_.empty()) fs::remove_all(part_, ignored);
  }

  [[nodiscard]] const fs::path& part() const { return part_; }
  [[nodiscard]] const fs::path& out() const { return out_; }

  // Puts the folder in its place. An earlier one changes places with it in one step and is then removed.
  Status finish() {
    if (::renameat2(AT_FDCWD, part_.c_str(), AT_FDCWD, out_.c_str(), RENAME_EXCHANGE) == 0) return success();
    std::error_code error;
    if (fs::exists(out_, error)) fs::remove_all(out_, error);  // a file system without exchange, or an empty folder
    if (::rename(part_.c_str(), out_.c_str()) != 0) return system_error(errno, "rename", part_.string());
    part_.clear();
    return success();
  }

 private:
  StagedFolder() = default;
  fs::path out_;
  fs::path part_;
};

// Everything about the sweep that the folder is made from.
struct Source {
  json sweep;
  std::string yaml;
  json resolved;
  json rows;
  std::vector<CollectedJob> jobs;
};

Result<Source> ask(Client& client, const std::string& sweep) {
  const std::string path = "/api/v1/sweeps/" + encode(sweep);
  Source source;
  FATHOM_ASSIGN(source.sweep, client.get(path));
  FATHOM_ASSIGN(source.yaml, client.text(path + "/yaml"));
  FATHOM_ASSIGN(source.resolved, client.get(path + "/resolved"));
  FATHOM_ASSIGN(source.rows, client.items(path + "/results"));
  FATHOM_ASSIGN(const json jobs, client.items(path + "/jobs"));
  for (const json& job : jobs) {
    FATHOM_ASSIGN(json detail, client.get(path + "/jobs/" + encode(job.value("id", ""))));
    source.jobs.push_back({std::move(detail), ""});
  }
  return source;
}

// Fetches the files of one job. `have`: hashes that this folder already holds, by where: copied, not fetched again.
Status fetch(Client& client, const CollectedJob& job, const fs::path& top, std::map<std::string, fs::path>& have) {
  for (const json& file : job.detail.value("files", json::array())) {
    const std::string name = file.value("path", "");
    const std::string sha256 = file.value("sha256", "");
    if (!is_safe(name) || !is_sha256(sha256))
      return Error{Errc::corrupt, "job " + job.detail.value("id", "") + " names a file that cannot be: " + name};
    const fs::path target = top / collected_path(job, fs::path(name).lexically_normal().generic_string());
    FATHOM_TRY(make_folders(target.parent_path().string()));
    const auto known = have.find(sha256);
    std::error_code error;
    if (known != have.end()) {
      fs::copy_file(known->second, target, error);
      if (error) return Error{Errc::internal, "copy to " + target.string() + ": " + error.message()};
      continue;
    }
    FATHOM_TRY(client.artifact(sha256, target.string()));
    have.emplace(sha256, target);
  }
  for (const auto& [epoch, objective] : kept_epochs(job))
    FATHOM_TRY(write_file_atomic((top / epoch / "README.md").string(), folder_readme(job, epoch)));
  return write_file_atomic((top / job.folder / "README.md").string(), folder_readme(job, job.folder));
}

// A value as YAML that every reader agrees on: JSON is YAML, indented it is readable.
Status write_texts(const Source& source, const std::string& sweep, const std::string& predictions,
                   const fs::path& top) {
  FATHOM_TRY(write_file_atomic((top / "sweep.yaml").string(), source.yaml));
  FATHOM_TRY(write_file_atomic((top / "resolved.yaml").string(), source.resolved.dump(2) + "\n"));
  FATHOM_TRY(write_file_atomic((top / "README.md").string(), top_readme(sweep, source.jobs, predictions)));
  for (const auto& [name, text] : result_files(source.sweep, source.rows, source.jobs, source.resolved)) {
    FATHOM_TRY(write_file_atomic((top / name).string(), text));
  }
  return success();
}

Status write_curves_of(Client& client, const Source& source, const std::string& sweep, const fs::path& file) {
  std::ofstream out(file, std::ios::binary);
  out << kCurvesHeader;
  for (const CollectedJob& job : source.jobs) {
    const std::string id = job.detail.value("id", "");
    const std::string path = "/api/v1/sweeps/" + encode(sweep) + "/jobs/" + encode(id) + "/metrics?";
    FATHOM_TRY(write_curves(out, id, [&](const std::string& query) { return client.get(path + query); }));
  }
  out.flush();
  if (!out) return Error{Errc::internal, file.string() + " cannot be written"};
  return success();
}

Status write_manifest(const std::string& sweep, const fs::path& top) {
  std::set<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::recursive_directory_iterator(top, error)) {
    if (entry.is_regular_file()) names.insert(fs::relative(entry.path(), top).generic_string());
  }
  if (error) return Error{Errc::internal, top.string() + ": " + error.message()};
  ordered_json manifest = {{"schema", kManifestSchema}, {"sweep", sweep}, {"files", ordered_json::array()}};
  for (const std::string& name : names) {
    FATHOM_ASSIGN(const std::string sha256, sha256_file((top / name).string()));
    manifest["files"].push_back({{"path", name}, {"sha256", sha256}, {"size", fs::file_size(top / name, error)}});
  }
  return write_file_atomic((top / "manifest.json").string(), manifest.dump(1) + "\n");
}

bool maximizes(const json& resolved) {
  return resolved.value(json::json_pointer("/objective/goal"), std::string("maximize")) != "minimize";
}

}  // namespace

ExitCode collect(const Context& context, const CollectOptions& options) {
  FATHOM_ASSIGN(Client client, Client::open(context));
  FATHOM_ASSIGN(Source source, ask(client, options.sweep));
  const std::string id = source.sweep.value("id", options.sweep);
  place_jobs(source.jobs, options.best, maximizes(source.resolved));
  const fs::path root = data_root(context, options.root);
  if (!options.predictions.empty()) FATHOM_TRY(check_predictable(source.jobs, options.predictions, root));
  FATHOM_ASSIGN(StagedFolder staged,
                StagedFolder::make(options.out.empty() ? fs::path("fathom-results") / id : fs::path(options.out)));
  std::map<std::string, fs::path> have;
  std::size_t folders = 0;
  for (const CollectedJob& job : source.jobs) {
    if (job.folder.empty()) continue;
    FATHOM_TRY(fetch(client, job, staged.part(), have));
    ++folders;
  }
  if (!options.predictions.empty())
    FATHOM_TRY(write_predictions(context, source.jobs, options.predictions, root, staged.part()));
  FATHOM_TRY(write_texts(source, id, options.predictions, staged.part()));
  if (options.curves) FATHOM_TRY(write_curves_of(client, source, id, staged.part() / "curves.csv"));
  FATHOM_TRY(write_manifest(id, staged.part()));
  FATHOM_TRY(staged.finish());
  if (context.json) {
    fmt::print("{}\n", ordered_json{{"sweep", id}, {"folder", staged.out().string()}, {"checkpoints", folders}}.dump());
    return 0;
  }
  json jobs = json::array();
  for (CollectedJob& job : source.jobs) jobs.push_back(std::move(job.detail));
  fmt::print("{}{}{}: {} checkpoints and the tables\n", result_table(source.rows, jobs),
             benchmark_table(benchmark_rows(source.rows, jobs, source.resolved)), staged.out().string(), folders);
  const std::string state = source.sweep.value("state", "");
  if (state == "running" || state == "paused")
    fmt::print("note: the sweep is still {}; collect again when it has ended\n", state);
  return 0;
}

}  // namespace fathom::cli
