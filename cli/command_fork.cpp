// fork and extend: a sweep once more with changes. What stays the same is not trained again: its results are taken.
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/client.hpp"
#include "cli/commands.hpp"
#include "cli/sweep_file.hpp"
#include "common/net/secrets.hpp"
#include "sweeps/places.hpp"
#include "sweeps/sweep.hpp"

namespace fathom::cli {
namespace {

using nlohmann::json;

// Mistakes are those of the stored file with the changes.
Status check(const std::string& yaml, const std::string& sweep, const std::vector<std::string>& set) {
  sweeps::ParseOptions options;
  options.file = sweep;
  options.set = set;
  const sweeps::ParseResult parsed = sweeps::parse(yaml, options);
  if (parsed.errors.empty()) return success();
  std::string all = mistakes_text(parsed.errors, parsed.more);
  all.pop_back();
  return Error{Errc::invalid_argument, fmt::format("{} with these changes has mistakes\n{}", sweep, all)};
}

// Changes of one option, wherever the file has what it is about; of what has a default also at the root.
Status extend_by(std::vector<std::string>& set, const std::string& yaml, const std::string& option,
                 const std::string& path, const std::string& value) {
  std::vector<std::string> places = sweeps::places_of(yaml, path);
  const bool defaulted = path == "seeds" || path == "train.epochs";
  if (defaulted && (places.empty() || places.front() != path)) places.insert(places.begin(), path);
  if (places.empty())
    return Error{Errc::invalid_argument, option + ": the sweep's file has no " + path + ", at its root or in a stage"};
  for (const std::string& place : places) set.push_back(place + "=" + value);
  return success();
}

}  // namespace

ExitCode fork(const Context& context, const ForkOptions& options) {
  FATHOM_ASSIGN(Client client, Client::open(context));
  FATHOM_ASSIGN(const std::string yaml, client.text("/api/v1/sweeps/" + encode(options.sweep) + "/yaml"));
  FATHOM_TRY(check(yaml, options.sweep, options.set));
  json body = {{"yaml", yaml}, {"file", options.sweep}, {"set", options.set}};
  body["name"] = options.name.empty() ? options.sweep : options.name;  // made unique by the coordinator
  if (options.go_on) body["extends"] = options.sweep;
  FATHOM_ASSIGN(const std::string key, net::random_hex(16));
  FATHOM_ASSIGN(const json answer, client.post("/api/v1/sweeps", body, {{"Idempotency-Key", key}}));
  if (context.json) {
    fmt::print("{}\n", answer.dump());
  } else {
    print_submitted(answer);
  }
  return 0;
}

ExitCode extend(const Context& context, const ForkOptions& options, const ExtendOptions& more) {
  ForkOptions changed = options;
  FATHOM_ASSIGN(Client client, Client::open(context));
  FATHOM_ASSIGN(const std::string yaml, client.text("/api/v1/sweeps/" + encode(options.sweep) + "/yaml"));
  if (!more.seeds.empty()) FATHOM_TRY(extend_by(changed.set, yaml, "--seeds", "seeds", more.seeds));
  if (more.trials != 0)
    FATHOM_TRY(extend_by(changed.set, yaml, "--trials", "search.trials", std::to_string(more.trials)));
  if (more.epochs != 0)
    FATHOM_TRY(extend_by(changed.set, yaml, "--epochs", "train.epochs", std::to_string(more.epochs)));
  changed.go_on = more.epochs != 0;
  for (const std::string& one : more.samples) {
    const std::size_t equals = one.find('=');
    if (equals == std::string::npos)
      return Error{Errc::invalid_argument, "--samples takes PARAMETER=N, such as lr=8; not \"" + one + "\""};
    FATHOM_TRY(extend_by(changed.set, yaml, "--samples", "parameters." + one.substr(0, equals) + ".samples",
                         one.substr(equals + 1)));
  }
  if (changed.set.empty())
    return Error{Errc::invalid_argument, "nothing to extend: say --epochs, --seeds, --trials or --samples"};
  return fork(context, changed);
}

}  // namespace fathom::cli
