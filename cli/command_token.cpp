// token create, list, revoke: access for other people and programs.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/client.hpp"
#include "cli/commands.hpp"
#include "cli/text_table.hpp"
#include "common/files.hpp"

namespace fathom::cli {

using nlohmann::json;

namespace {

std::string date(const json& ms) {
  if (!ms.is_number_integer() || ms == 0) return "";
  return fmt::format("{:%Y-%m-%d}", fmt::gmtime(static_cast<std::time_t>(ms.get<std::int64_t>() / 1000)));
}

// What a client needs of the coordinator's state folder: where it is, its CA, and a token.
Status write_folder(const Context& context, const fs::path& folder, const std::string& address,
                    const std::string& token) {
  if (fs::exists(folder / "token")) {
    return Error{Errc::already_exists, folder.string() + " holds a token already: name another folder with --out"};
  }
  FATHOM_TRY(make_folders((folder / "coordinator" / "tls").string(), 0700));
  FATHOM_ASSIGN(const std::string ca, read_file(ca_file(context).string(), 1U << 20));
  Context made = context;
  made.state = folder;
  FATHOM_TRY(write_file_atomic(ca_file(made).string(), ca));
  FATHOM_TRY(write_file_atomic(address_file(made).string(), address + "\n"));
  return write_file_atomic(token_file(made).string(), token + "\n", 0600);
}

}  // namespace

ExitCode token_create(const Context& context, const TokenOptions& options) {
  FATHOM_ASSIGN(Client client, Client::open(context));
  FATHOM_ASSIGN(json made, client.post("/api/v1/tokens",
                                       {{"name", options.name}, {"role", options.role}, {"days", options.days}}));
  const std::string token = made.value("token", "");
  if (!options.out.empty()) {
    if (const Status written = write_folder(context, options.out, client.address(), token); !written) {
      (void)client.remove("/api/v1/tokens/" + encode(options.name));  // nobody has seen it
      return written.error();
    }
    made.erase("token");
    made["folder"] = options.out;
  }
  if (context.json) {
    fmt::print("{}\n", made.dump());
  } else if (options.out.empty()) {
    fmt::print("{}\n", token);
  } else {
    fmt::print("{0}: give this folder to {1}, who uses it as 'fathom --state {0} …'\n", options.out, options.name);
  }
  return 0;
}

ExitCode token_list(const Context& context) {
  FATHOM_ASSIGN(Client client, Client::open(context));
  FATHOM_ASSIGN(const json found, client.get("/api/v1/tokens"));
  if (context.json) {
    fmt::print("{}\n", found.dump());
    return 0;
  }
  TextTable table({"name", "role", "made", "expires"});
  for (const json& token : found.value("items", json::array())) {
    const std::string expires = date(token.value("expires", json()));
    table.row({token.value("name", ""), token.value("role", ""), date(token.value("created", json())),
               expires.empty() ? "never" : expires});
  }
  fmt::print("{}", table.text());
  return 0;
}

ExitCode token_revoke(const Context& context, const std::string& name) {
  FATHOM_ASSIGN(Client client, Client::open(context));
  FATHOM_ASSIGN(const json done, client.remove("/api/v1/tokens/" + encode(name)));
  if (context.json) {
    fmt::print("{}\n", done.dump());
  } else {
    fmt::print("{} may not ask any more\n", name);
  }
  return 0;
}

}  // namespace fathom::cli
