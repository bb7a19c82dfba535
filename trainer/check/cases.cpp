#include "trainer/check/cases.hpp"

#include <algorithm>
#include <set>

#include "common/sha256.hpp"
#include "data/dataset.hpp"
#include "trainer/check/fields.hpp"
#include "trainer/check/runs.hpp"
#include "trainer/checkpoint/folder.hpp"
#include "trainer/engine/errors.hpp"

namespace fathom::trainer::check {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// A group's name is a folder of its own below the root.
std::string group_name(const std::string& name, const Fields& fields) {
  if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos)
    fields.fail("\"" + name + "\" cannot name a group: it must be one folder's name");
  return name;
}

void add_forward(const Fields& manifest, std::vector<Case>& out) {
  const auto* forward = manifest.find("forward");
  if (!forward) return;
  const Fields groups(*forward, manifest.where() + ": forward");
  for (const auto& [group, entries] : groups.value().items()) {
    group_name(group, groups);
    if (!entries.is_array()) groups.fail("\"" + group + "\" must be a list of cases");
    for (std::size_t i = 0; i < entries.size(); ++i) {
      const auto where = groups.where() + "." + group + "[" + std::to_string(i) + "]";
      const auto id = Fields(entries[i], where).text("id");
      out.push_back({Kind::forward, group + "/" + id, group, entries[i], where});
    }
  }
}

void add_trajectories(const Fields& manifest, std::vector<Case>& out) {
  if (!manifest.find("trajectories")) return;
  const json& entries = manifest.list("trajectories");
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const auto where = manifest.where() + ": trajectories[" + std::to_string(i) + "]";
    const Fields fields(entries[i], where);
    const auto id = fields.text("id");
    const auto slash = id.find('/');
    if (slash == std::string::npos) fields.fail("the id must be GROUP/NAME");
    const auto group = group_name(id.substr(0, slash), fields);
    out.push_back({Kind::trajectory, group + "/trajectories/" + id.substr(slash + 1), group, entries[i], where});
  }
}

// The manifest does not list these; the folders of the groups it names are looked into.
void add_bases(const fs::path& root, std::vector<Case>& out) {
  std::set<std::string> groups;
  for (const Case& one : out) groups.insert(one.group);
  for (const auto& group : groups) {
    const auto file = root / group / "base_expected.safetensors";
    if (fs::exists(file)) out.push_back({Kind::base, group + "/base_model", group, json::object(), file.string()});
  }
}

std::vector<Case> list(const fs::path& root) {
  const auto file = root / "manifest.json";
  const json manifest = value_of(read_json(file));
  std::vector<Case> out;
  const Fields fields(manifest, file.string());
  add_forward(fields, out);
  add_trajectories(fields, out);
  add_bases(root, out);
  std::set<std::string> seen;
  for (const Case& one : out) {
    if (!seen.insert(one.id).second) throw CheckError(one.where + ": a second case is called " + one.id);
  }
  if (out.empty()) fields.fail("it lists no cases under \"forward\" or \"trajectories\"");
  return out;
}

// Other weights of the same shape would fail everything in a way that explains nothing.
void check_weights(const fs::path& group, const fs::path& model) {
  const auto about = group / "source.json";
  if (!fs::exists(about)) return;
  const json source = value_of(read_json(about));
  const Fields fields(source, about.string());
  if (!fields.find("sha256")) return;
  const auto weights = model / "model.safetensors";
  if (!fs::exists(weights) || value_of(sha256_file(weights.string())) == fields.text("sha256")) return;
  throw CheckError(weights.string() +
                   ": these are not the weights that the reference data were made with; the SHA-256 in " +
                   about.string() + " is another one");
}

}  // namespace

const char* name_of(Kind kind) {
  switch (kind) {
    case Kind::base:
      return "base";
    case Kind::forward:
      return "forward";
    case Kind::trajectory:
      return "trajectory";
  }
  return "";
}

const char* name_of(Status status) {
  switch (status) {
    case Status::passed:
      return "pass";
    case Status::failed:
      return "FAIL";
    case Status::skipped:
      return "skip";
  }
  return "";
}

Checker::Checker(fs::path folder, std::map<std::string, fs::path> models)
    : folder_(std::move(folder)), models_(std::move(models)) {}

Result<std::vector<Case>> Checker::cases() const {
  try {
    return list(folder_);
  } catch (const std::exception& error) {
    return Error{Errc::corrupt, error.what()};
  }
}

std::shared_ptr<const BaseModel> Checker::base(const std::string& group, const std::string& name) {
  fs::path at;
  const auto stored = data::below_root(folder_, name);
  if (stored && fs::exists(*stored / "config.json")) at = *stored;
  if (at.empty() && fs::exists(folder_ / group / "base")) at = folder_ / group / "base";
  for (const auto& key : {group, name}) {
    if (at.empty() && models_.contains(key)) at = models_.at(key);
  }
  if (at.empty()) return nullptr;
  auto& model = loaded_[at];
  if (!model) {
    check_weights(folder_ / group, at);
    model = value_of(load_base_model(at));
  }
  return model;
}

Outcome Checker::run(const Case& one) {
  Outcome outcome;
  try {
    fs::path run;
    std::string name = one.group + "/base";
    if (one.kind == Kind::trajectory) {
      run = trajectory_folder(one, folder_);
      const json file = value_of(read_json(run / "trajectory.json"));
      name = Fields(file, (run / "trajectory.json").string()).text("base");
    }
    const auto model = base(one.group, name);
    if (!model) {
      outcome.status = Status::skipped;
      outcome.message =
          "the base model is not part of the reference data; give its folder: --model " + one.group + "=DIR";
      return outcome;
    }
    if (one.kind == Kind::base) return run_base(one, folder_, *model);
    return one.kind == Kind::forward ? run_forward(one, folder_, *model) : run_trajectory(run, model);
  } catch (const CheckError& error) {
    outcome.message = error.what();
  } catch (...) {
    // What nobody looked for: a library's error, or memory. It says nothing of the place, so the place is said here.
    outcome.message = one.where + ": " + failure_of(std::current_exception()).message;
  }
  outcome.status = Status::failed;
  return outcome;
}

}  // namespace fathom::trainer::check
