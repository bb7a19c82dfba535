// Delivers the core's messages to webhooks, on a thread of its own: a receiver that is down or slow delays nothing
// else. A try that failed is repeated with growing pauses; after `give_up` the message is settled as not delivered.
// The queue is the core's outbox and thus as small as what webhooks have not taken yet.
// Thread: every method from any thread. Owner: the coordinator.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "coordinator/core/effect.hpp"
#include "coordinator/notify/webhook.hpp"
#include "sweeps/plan.hpp"

namespace fathom::notify {

class Notifier {
 public:
  struct Options {
    bool any_address = false;            // WebhookSender::Options
    std::vector<std::string> variables;  // of the environment, which sweeps may name
    Millis first_pause{1000};            // doubled after each try
    Millis longest_pause{300'000};
    Millis give_up{86'400'000};  // after the first try
  };
  // What became of a message; `why` where it is given up.
  using Settle = std::function<void(std::uint64_t notice, bool delivered, const std::string& why)>;

  Notifier(Options options, std::unique_ptr<WebhookSender> sender, const Clock& clock, Settle settle);
  ~Notifier();  // what was not taken is sent again after the next start
  Notifier(const Notifier&) = delete;
  Notifier& operator=(const Notifier&) = delete;

  // Queues it; one that is queued already is not sent twice.
  void send(const core::SendNotice& notice);

  // Before a sweep is taken: every variable that it names is allowed and set, and no address is a private one.
  // invalid_argument in words for who submits; values of variables are never told.
  [[nodiscard]] Status check(const std::vector<sweeps::Hook>& hooks) const;

 private:
  struct Open {
    core::SendNotice notice;
    TimePoint first{}, next{};
    std::uint32_t tries = 0;
  };
  void run();
  // The message that is due first, or nothing when the thread is to end.
  std::optional<core::SendNotice> wait();
  Status attempt(const core::SendNotice& notice);
  void finish(std::uint64_t number, const Status& status);
  [[nodiscard]] Result<std::string> value_of(const std::string& text) const;

  const Options options_;
  const std::unique_ptr<WebhookSender> sender_;
  const Clock& clock_;
  const Settle settle_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::uint64_t, Open> open_;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace fathom::notify
