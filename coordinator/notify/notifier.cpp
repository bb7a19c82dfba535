#include "coordinator/notify/notifier.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdlib>

#include "common/reference.hpp"
#include "coordinator/notify/public_address.hpp"

namespace fathom::notify {

Notifier::Notifier(Options options, std::unique_ptr<WebhookSender> sender, const Clock& clock, Settle settle)
    : options_(std::move(options)),
      sender_(std::move(sender)),
      clock_(clock),
      settle_(std::move(settle)),
      thread_([this] { run(); }) {}

Notifier::~Notifier() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  sender_->cancel();
  thread_.join();
}

void Notifier::send(const core::SendNotice& notice) {
  {
    const std::lock_guard lock(mutex_);
    const TimePoint now = clock_.now();
    open_.try_emplace(notice.notice, Open{notice, now, now, 0});
  }
  changed_.notify_all();
}

std::optional<core::SendNotice> Notifier::wait() {
  std::unique_lock lock(mutex_);
  while (!ending_) {
    const auto due = std::ranges::min_element(open_, {}, [](const auto& one) { return one.second.next; });
    if (due == open_.end()) {
      changed_.wait(lock);
      continue;
    }
    const auto left = due->second.next - clock_.now();
    if (left <= Millis(0)) return due->second.notice;
    changed_.wait_for(lock, left);
  }
  return std::nullopt;
}

void Notifier::run() {
  while (const auto notice = wait()) finish(notice->notice, attempt(*notice));
}

Status Notifier::attempt(const core::SendNotice& notice) {
  FATHOM_ASSIGN(const std::string address, value_of(notice.hook.webhook));
  FATHOM_ASSIGN(HttpsUrl to, parse_https_url(address));
  Message message{notice.notice, std::move(to), "", notice.body};
  if (!notice.hook.secret.empty()) {
    FATHOM_ASSIGN(message.secret, value_of(notice.hook.secret));
  }
  return sender_->send(message, clock_.wall().time_since_epoch().count() / 1000);
}

void Notifier::finish(std::uint64_t number, const Status& status) {
  std::unique_lock lock(mutex_);
  if (ending_) return;
  Open& open = open_.at(number);
  ++open.tries;
  const TimePoint now = clock_.now();
  const bool over = status || status.error().code == Errc::not_found || now - open.first >= options_.give_up;
  const std::string hook = open.notice.hook.webhook.substr(0, 200);
  if (!over) {
    const Millis pause = options_.first_pause * (1LL << std::min(open.tries - 1, 20U));
    open.next = now + std::min(pause, options_.longest_pause);
    if (open.tries == 1)
      spdlog::warn("a webhook did not take a message, it is sent again webhook={} error=\"{}\"", hook,
                   status.error().message);
    return;
  }
  const std::uint32_t tries = open.tries;
  open_.erase(number);
  lock.unlock();
  if (!status)
    spdlog::error("a message to a webhook is given up webhook={} tries={} error=\"{}\"", hook, tries,
                  status.error().message);
  settle_(number, static_cast<bool>(status), status ? "" : status.error().message);
}

Result<std::string> Notifier::value_of(const std::string& text) const {
  const auto name = env_name(text);
  if (!name) return text;
  if (std::ranges::find(options_.variables, *name) == options_.variables.end()) {
    return Error{Errc::invalid_argument, "sweeps may not use the variable " + *name +
                                             " of this coordinator; notify.variables of coordinator.yaml lists those "
                                             "they may"};
  }
  const char* value = std::getenv(name->c_str());
  if (value == nullptr || *value == '\0')
    return Error{Errc::invalid_argument, "the coordinator's environment has no variable " + *name};
  return std::string(value);
}

Status Notifier::check(const std::vector<sweeps::Hook>& hooks) const {
  for (const sweeps::Hook& hook : hooks) {
    FATHOM_ASSIGN(const std::string address, value_of(hook.webhook));
    FATHOM_ASSIGN(const HttpsUrl url, parse_https_url(address));
    const bool literal = url.host.find_first_not_of("0123456789abcdefABCDEF.:") == std::string::npos &&
                         url.host.find_first_of(".:") != std::string::npos;
    if (literal && !options_.any_address && !is_public(url.host)) {
      return Error{Errc::invalid_argument, "notify.webhook: " + url.host +
                                               " is an address of this machine or of a private network; "
                                               "notify.private of coordinator.yaml allows it"};
    }
    if (!hook.secret.empty()) FATHOM_TRY(value_of(hook.secret));
  }
  return success();
}

}  // namespace fathom::notify
