// fork and extend: a sweep once more with changes. What stays the same is not trained again: its results are taken.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/client.hpp"
#include "cli/commands.hpp"
#include "cli/sweep_file.hpp"
#include "common/net/secrets.hpp"
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
  if (!more.seeds.empty()) changed.set.push_back("seeds=" + more.seeds);
  if (more.trials != 0) changed.set.push_back("search.trials=" + std::to_string(more.trials));
  if (more.epochs != 0) changed.set.push_back("train.epochs=" + std::to_string(more.epochs));
  changed.go_on = more.epochs != 0;
  for (const std::string& one : more.samples) {
    const std::size_t equals = one.find('=');
    if (equals == std::string::npos)
      return Error{Errc::invalid_argument, "--samples takes PARAMETER=N, such as lr=8; not \"" + one + "\""};
    changed.set.push_back("parameters." + one.substr(0, equals) + ".samples" + one.substr(equals));
  }
  if (changed.set.empty())
    return Error{Errc::invalid_argument, "nothing to extend: say --epochs, --seeds, --trials or --samples"};
  return fork(context, changed);
}

}  // namespace fathom::cli
