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

// A worker's token is the text itself: in a file for --join-token, or shown.
ExitCode create_join_token(const Context& context, const TokenOptions& options) {
  if (!options.out.empty() && fs::exists(options.out)) {
    return Error{Errc::already_exists, options.out + " exists already: name another file with --out"};
  }
  FATHOM_ASSIGN(Client client, Client::open(context));
  const int hours = options.days == 0 ? 24 : options.days * 24;
  FATHOM_ASSIGN(json made, client.post("/api/v1/join-tokens", {{"name", options.name}, {"hours", hours}}));
  const std::string token = made.value("token", "");
  if (!options.out.empty()) {
    if (const Status written = write_file_atomic(options.out, token + "\n", 0600); !written) {
      (void)client.remove("/api/v1/join-tokens/" + encode(options.name));  // nobody has seen it
      return written.error();
    }
    made.erase("token");
    made["file"] = options.out;
  }
  if (context.json) {
    fmt::print("{}\n", made.dump());
  } else if (options.out.empty()) {
    fmt::print("{}\n", token);
  } else {
    fmt::print("{0}: one worker joins with 'fathom-worker --coordinator {1} --join-token {0}'\n", options.out,
               client.address());
  }
  return 0;
}

}  // namespace

ExitCode token_create(const Context& context, const TokenOptions& options) {
  if (options.role == "worker") return create_join_token(context, options);
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
  FATHOM_ASSIGN(json found, client.get("/api/v1/tokens"));
  FATHOM_ASSIGN(const json joins, client.get("/api/v1/join-tokens"));
  for (const json& token : joins.at("items")) found["items"].push_back(token);
  found["total"] = found["items"].size();
  if (context.json) {
    fmt::print("{}\n", found.dump());
    return 0;
  }
  TextTable table({"name", "role", "made", "expires"});
  for (const json& token : found["items"]) {
    const std::string expires = date(token.value("expires", json()));
    const bool used = token.value("used_by", json()).is_string();
    table.row({token.value("name", ""), token.value("role", ""), date(token.value("created", json())),
               used              ? "used"
               : expires.empty() ? "never"
                                 : expires});
  }
  fmt::print("{}", table.text());
  return 0;
}

ExitCode token_revoke(const Context& context, const std::string& name) {
  FATHOM_ASSIGN(Client client, Client::open(context));
  auto done_or = client.remove("/api/v1/tokens/" + encode(name));
  if (!done_or && done_or.error().code == Errc::not_found) {
    done_or = client.remove("/api/v1/join-tokens/" + encode(name));
  }
  FATHOM_ASSIGN(const json done, std::move(done_or));
  if (context.json) {
    fmt::print("{}\n", done.dump());
  } else {
    fmt::print("{} may not ask any more\n", name);
  }
  return 0;
}

}  // namespace fathom::cli
