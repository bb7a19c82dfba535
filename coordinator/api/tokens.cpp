#include "coordinator/api/tokens.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <nlohmann/json.hpp>

#include "common/files.hpp"
#include "common/net/secrets.hpp"
#include "common/sha256.hpp"

namespace fathom::api {
namespace {

using nlohmann::json;

constexpr std::array<const char*, 3> kNames{"viewer", "submitter", "admin"};
constexpr std::uint64_t kFileLimit = 1U << 20;

}  // namespace

const char* name_of(Role role) { return kNames.at(static_cast<std::size_t>(role)); }

std::optional<Role> role_of(std::string_view name) {
  const auto found = std::find(kNames.begin(), kNames.end(), name);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<Role>(found - kNames.begin());
}

Status check_token_name(const std::string& name) {
  const bool good =
      !name.empty() && name.size() <= 64 &&
      name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == std::string::npos;
  if (good) return success();
  return Error{Errc::invalid_argument, "a name here has 1 to 64 letters, digits, '.', '_' or '-'"};
}

TokenStore::TokenStore(std::string file, const std::string& admin_token, const Clock& clock)
    : file_(std::move(file)), clock_(clock), entries_{{{kAdmin, Role::admin, 0, 0}, sha256_hex(admin_token)}} {}

Result<std::unique_ptr<TokenStore>> TokenStore::open(std::string file, const std::string& admin_token,
                                                     const Clock& clock) {
  std::unique_ptr<TokenStore> store(new TokenStore(std::move(file), admin_token, clock));
  FATHOM_TRY(store->load());
  return store;
}

Status TokenStore::load() {
  const auto text = read_file(file_, kFileLimit);
  if (!text) return text.error().code == Errc::not_found ? success() : Status(text.error());
  try {
    const json stored = json::parse(*text);
    for (const json& token : stored.at("tokens")) {
      const auto role = role_of(token.at("role").get<std::string>());
      const std::string hash = token.at("sha256");
      if (!role || !is_sha256(hash)) throw std::invalid_argument("a token without role or hash");
      entries_.push_back({{token.at("name"), *role, token.at("created"), token.at("expires")}, hash});
    }
  } catch (const std::exception& e) {
    return Error{Errc::corrupt,
                 file_ + " does not hold tokens (" + e.what() +
                     "): restore it, or remove it and make the tokens anew with \"fathom token create\""};
  }
  return success();
}

Status TokenStore::save(const std::vector<Entry>& entries) const {
  json tokens = json::array();
  for (const Entry& entry : entries) {
    if (entry.info.name == kAdmin) continue;
    tokens.push_back({{"name", entry.info.name},
                      {"role", name_of(entry.info.role)},
                      {"created", entry.info.created_ms},
                      {"expires", entry.info.expires_ms},
                      {"sha256", entry.hash}});
  }
  return write_file_atomic(file_, json{{"tokens", tokens}}.dump(1) + "\n", 0600);
}

bool TokenStore::expired(const TokenInfo& info) const {
  return info.expires_ms != 0 && clock_.wall().time_since_epoch().count() >= info.expires_ms;
}

std::optional<Identity> TokenStore::find(std::string_view secret) const {
  const std::string hash = sha256_hex(secret);
  const std::lock_guard lock(mutex_);
  const Entry* found = nullptr;
  for (const Entry& entry : entries_) {
    if (net::equal_constant_time(entry.hash, hash)) found = &entry;
  }
  if (found == nullptr || expired(found->info)) return std::nullopt;
  return Identity{found->info.name, found->info.role};
}

bool TokenStore::alive(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  return std::any_of(entries_.begin(), entries_.end(),
                     [&](const Entry& entry) { return entry.info.name == name && !expired(entry.info); });
}

Result<std::string> TokenStore::create(const std::string& name, Role role, Millis life) {
  FATHOM_TRY(check_token_name(name));
  FATHOM_ASSIGN(std::string secret, net::random_hex());
  const std::lock_guard lock(mutex_);
  const auto same = [&](const Entry& entry) { return entry.info.name == name; };
  if (std::any_of(entries_.begin(), entries_.end(), same)) {
    return Error{Errc::already_exists, "there is a token \"" + name + "\" already; revoke it, or take another name"};
  }
  if (entries_.size() > kMost) return Error{Errc::resource_exhausted, "there are too many tokens; revoke some"};
  const std::int64_t now = clock_.wall().time_since_epoch().count();
  std::vector<Entry> entries = entries_;
  entries.push_back({{name, role, now, life.count() == 0 ? 0 : now + life.count()}, sha256_hex(secret)});
  FATHOM_TRY(save(entries));
  entries_ = std::move(entries);
  return secret;
}

Status TokenStore::revoke(const std::string& name) {
  if (name == kAdmin) {
    return Error{
        Errc::permission_denied,
        "the admin token is the file \"token\" in the state folder: stop the coordinator and remove that file"};
  }
  const std::lock_guard lock(mutex_);
  std::vector<Entry> entries = entries_;
  if (std::erase_if(entries, [&](const Entry& entry) { return entry.info.name == name; }) == 0) {
    return Error{Errc::not_found, "there is no token \"" + name + "\""};
  }
  FATHOM_TRY(save(entries));
  entries_ = std::move(entries);
  return success();
}

std::vector<TokenInfo> TokenStore::list() const {
  const std::lock_guard lock(mutex_);
  std::vector<TokenInfo> found;
  for (const Entry& entry : entries_) found.push_back(entry.info);
  return found;
}

}  // namespace fathom::api
