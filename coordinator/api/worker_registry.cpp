#include "coordinator/api/worker_registry.hpp"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "common/files.hpp"
#include "common/net/secrets.hpp"
#include "common/sha256.hpp"
#include "coordinator/api/tokens.hpp"

namespace fathom::api {
namespace {

using nlohmann::json;

constexpr std::uint64_t kFileLimit = 64U << 20;
constexpr Millis kRepeat{3600 * 1000};  // how long a lost answer to the standing token may be asked for again

template <class List, class Key>
auto find_by(List& list, const Key& matches) {
  const auto found = std::find_if(list.begin(), list.end(), matches);
  return found == list.end() ? nullptr : &*found;
}

}  // namespace

Result<std::unique_ptr<WorkerRegistry>> WorkerRegistry::open(Options options, const Clock& clock) {
  std::unique_ptr<WorkerRegistry> made(new WorkerRegistry(std::move(options), clock));
  FATHOM_TRY(made->load());
  const std::lock_guard lock(made->mutex_);
  FATHOM_TRY(made->keep_standing());
  return made;
}

Status WorkerRegistry::load() {
  const auto text = read_file(options_.file, kFileLimit);
  if (!text) return text.error().code == Errc::not_found ? success() : Status(text.error());
  try {
    const json stored = json::parse(*text);
    for (const json& one : stored.at("tokens")) {
      state_.tokens.push_back(
          {{one.at("name"), one.at("created"), one.at("expires"), one.at("used_by")}, one.at("sha256"), one.at("key")});
    }
    for (const json& one : stored.at("workers")) {
      state_.workers.push_back(
          {one.at("uid"), one.at("name"), one.at("key"), one.at("certificates"), one.at("expires"), one.at("revoked")});
    }
  } catch (const std::exception& e) {
    return Error{Errc::corrupt, options_.file + " does not hold workers' certificates (" + e.what() +
                                    "): restore it, or remove it and let every worker join anew"};
  }
  return success();
}

// What is over and done with goes; revoked workers stay, so that they stay out.
Status WorkerRegistry::save(State next) {
  const std::int64_t now = now_ms();
  std::erase_if(next.tokens,
                [&](const Token& token) { return token.info.expires_ms != 0 && token.info.expires_ms < now; });
  std::erase_if(next.workers, [&](const Worker& worker) { return !worker.revoked && worker.expires_ms < now; });
  json tokens = json::array(), workers = json::array();
  for (const Token& token : next.tokens) {
    tokens.push_back({{"name", token.info.name},
                      {"created", token.info.created_ms},
                      {"expires", token.info.expires_ms},
                      {"used_by", token.info.used_by},
                      {"sha256", token.hash},
                      {"key", token.key}});
  }
  for (const Worker& worker : next.workers) {
    workers.push_back({{"uid", worker.uid},
                       {"name", worker.name},
                       {"key", worker.key},
                       {"certificates", worker.certificates},
                       {"expires", worker.expires_ms},
                       {"revoked", worker.revoked}});
  }
  const std::string text =
      json{{"tokens", tokens}, {"workers", workers}}.dump(1, ' ', true, json::error_handler_t::replace) + "\n";
  FATHOM_TRY(write_file_atomic(options_.file, text, 0600));
  state_ = std::move(next);
  return success();
}

Result<std::string> WorkerRegistry::new_token(State& state, const std::string& name, Millis life) const {
  if (state.tokens.size() >= kMost)
    return Error{Errc::resource_exhausted, "there are too many join tokens; revoke some"};
  FATHOM_ASSIGN(const std::string secret, net::random_hex());
  const std::int64_t now = now_ms();
  state.tokens.push_back({{name, now, life.count() == 0 ? 0 : now + life.count(), ""}, sha256_hex(secret), ""});
  return net::to_text({options_.identity.ca_sha256, secret});
}

// The file and an unused token without a name belong together; whatever else is found there is replaced.
Status WorkerRegistry::keep_standing() {
  const auto text = read_file(options_.standing_file, 4096);
  if (const auto there = text ? net::parse_join_token(*text) : Result<net::JoinToken>(text.error())) {
    const std::string hash = sha256_hex(there->secret);
    const Token* known = find_by(state_.tokens, [&](const Token& token) { return token.hash == hash; });
    if (known != nullptr && known->key.empty() && there->ca_sha256 == options_.identity.ca_sha256) return success();
  }
  State next = state_;
  std::erase_if(next.tokens, [](const Token& token) { return token.info.name.empty() && token.key.empty(); });
  FATHOM_ASSIGN(const std::string made, new_token(next, "", Millis{0}));
  FATHOM_TRY(save(std::move(next)));
  return write_file_atomic(options_.standing_file, made + "\n", 0600);
}

Result<std::string> WorkerRegistry::create(const std::string& name, Millis life) {
  FATHOM_TRY(check_token_name(name));
  const std::lock_guard lock(mutex_);
  State next = state_;
  std::erase_if(next.tokens, [&](const Token& token) {
    return token.info.name == name && (!token.key.empty() || token.info.expires_ms < now_ms());
  });
  if (find_by(next.tokens, [&](const Token& token) { return token.info.name == name; }) != nullptr) {
    return Error{Errc::already_exists,
                 "there is an unused join token \"" + name + "\"; revoke it, or take another name"};
  }
  FATHOM_ASSIGN(std::string made, new_token(next, name, life));
  FATHOM_TRY(save(std::move(next)));
  return made;
}

Status WorkerRegistry::remove(const std::string& name) {
  const std::lock_guard lock(mutex_);
  State next = state_;
  const auto removed =
      std::erase_if(next.tokens, [&](const Token& token) { return !name.empty() && token.info.name == name; });
  if (removed == 0) return Error{Errc::not_found, "there is no join token \"" + name + "\""};
  return save(std::move(next));
}

std::vector<WorkerRegistry::TokenInfo> WorkerRegistry::list() const {
  const std::lock_guard lock(mutex_);
  std::vector<TokenInfo> found;
  for (const Token& token : state_.tokens) {
    if (!token.info.name.empty()) found.push_back(token.info);
  }
  return found;
}

Status WorkerRegistry::may_enroll(const Worker* worker, const Token& token, const std::string& key) const {
  if (!token.key.empty() && token.key != key) {
    return Error{Errc::unauthenticated,
                 "this join token was used already; make another one with \"fathom token create "
                 "NAME --role worker\""};
  }
  if (worker == nullptr) return success();
  if (worker->revoked) {
    if (!token.info.name.empty()) return success();
    return Error{Errc::permission_denied,
                 "this worker was revoked; it comes back with a token of \"fathom token create "
                 "NAME --role worker\""};
  }
  if (worker->key != key && worker->expires_ms > now_ms()) {
    return Error{Errc::already_exists, "a worker with the uid " + worker->uid +
                                           " holds a certificate; revoke it with "
                                           "\"fathom workers revoke\" if it is lost"};
  }
  return success();
}

Result<std::string> WorkerRegistry::enroll(const Join& join) {
  const auto whole = net::parse_join_token(join.token);
  const std::string hash = sha256_hex(whole ? whole->secret : join.token);
  const std::lock_guard lock(mutex_);
  State next = state_;
  Token* token = nullptr;
  for (Token& one : next.tokens) {
    if (net::equal_constant_time(one.hash, hash)) token = &one;
  }
  if (token == nullptr || (token->info.expires_ms != 0 && token->info.expires_ms < now_ms())) {
    return Error{Errc::unauthenticated,
                 "this join token is not one of this coordinator's, was used, or has expired; make "
                 "one with \"fathom token create NAME --role worker\""};
  }
  FATHOM_TRY(check_token_name(join.uid));  // it becomes the name in the certificate
  FATHOM_ASSIGN(const std::string key, net::request_key(join.request));
  const auto same = [&](const Worker& one) { return one.uid == join.uid; };
  Worker* worker = find_by(next.workers, same);
  FATHOM_TRY(may_enroll(worker, *token, key));
  if (worker == nullptr && next.workers.size() >= kMost) {
    return Error{Errc::resource_exhausted, "there are too many workers"};
  }
  if (worker == nullptr) worker = &next.workers.emplace_back();
  *worker = {join.uid, join.name.substr(0, 128), key, {}, 0, false};
  FATHOM_ASSIGN(std::string chain, issue(*worker, join.request));
  const bool standing = token->info.name.empty();
  token->key = key;
  token->info.used_by = join.uid;
  if (standing) token->info.expires_ms = now_ms() + kRepeat.count();
  FATHOM_TRY(save(std::move(next)));
  if (standing) FATHOM_TRY(keep_standing());
  return chain;
}

Result<std::string> WorkerRegistry::issue(Worker& worker, const std::string& request) const {
  FATHOM_ASSIGN(std::string chain, net::sign_request(options_.identity, request, worker.uid, options_.life));
  FATHOM_ASSIGN(const net::Chain made, net::read_chain(chain));
  worker.certificates.push_back(made.sha256);
  worker.expires_ms = made.until.time_since_epoch().count();
  return chain;
}

Status WorkerRegistry::check(const net::PeerCertificate& shown) const {
  const std::lock_guard lock(mutex_);
  const Worker* worker = find_by(state_.workers, [&](const Worker& one) { return one.uid == shown.name; });
  if (worker != nullptr && worker->revoked) {
    return Error{Errc::permission_denied, "the certificate of this worker was revoked"};
  }
  if (worker != nullptr && std::ranges::count(worker->certificates, shown.sha256) > 0) return success();
  return Error{Errc::unauthenticated,
               "this certificate is not in force; the worker has to join anew with a token of "
               "\"fathom token create NAME --role worker\""};
}

Result<std::string> WorkerRegistry::renew(const net::PeerCertificate& shown, const std::string& request) {
  FATHOM_TRY(check(shown));
  FATHOM_ASSIGN(const std::string key, net::request_key(request));
  const std::lock_guard lock(mutex_);
  State next = state_;
  Worker* worker = find_by(next.workers, [&](const Worker& one) { return one.uid == shown.name && !one.revoked; });
  if (worker == nullptr) return Error{Errc::permission_denied, "the certificate of this worker was revoked"};
  worker->certificates = {shown.sha256};
  worker->key = key;
  FATHOM_ASSIGN(std::string chain, issue(*worker, request));
  FATHOM_TRY(save(std::move(next)));
  return chain;
}

Status WorkerRegistry::revoke(const std::string& uid) {
  const std::lock_guard lock(mutex_);
  State next = state_;
  Worker* worker = find_by(next.workers, [&](const Worker& one) { return one.uid == uid; });
  if (worker == nullptr) return Error{Errc::not_found, "this worker has no certificate"};
  worker->revoked = true;
  worker->certificates.clear();
  return save(std::move(next));
}

std::optional<WorkerRegistry::WorkerInfo> WorkerRegistry::find(const std::string& uid) const {
  const std::lock_guard lock(mutex_);
  const Worker* worker = find_by(state_.workers, [&](const Worker& one) { return one.uid == uid; });
  if (worker == nullptr) return std::nullopt;
  return WorkerInfo{worker->expires_ms, worker->revoked};
}

}  // namespace fathom::api
