#include "trainer/engine/service.hpp"

#include <spdlog/spdlog.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <future>
#include <optional>
#include <thread>

#include "common/protocol/channel.hpp"
#include "common/protocol/fences.hpp"
#include "trainer/engine/follower.hpp"
#include "trainer/engine/mailbox.hpp"
#include "trainer/engine/resources.hpp"
#include "trainer/engine/runner.hpp"
#include "trainer/engine/wire_events.hpp"

namespace fathom::trainer {
namespace {

constexpr Millis kAliveEvery(500);
// A pass in progress when the worker is gone gets this long before the process ends without it.
constexpr std::chrono::seconds kLastPass(10);

// What rank 0 was told since the last pass, and whether nothing more will come: the same on every rank.
struct Turn {
  std::deque<wire::Envelope> messages;
  bool over = false;
};

void share(Gang& gang, Turn& turn) {
  if (gang.size() == 1) return;
  std::string bytes;
  for (const auto& message : turn.messages) {
    const auto text = message.SerializeAsString();
    const std::uint64_t size = text.size();
    bytes.append(reinterpret_cast<const char*>(&size), sizeof size).append(text);
  }
  std::array<std::uint64_t, 2> head = {bytes.size(), turn.over ? 1U : 0U};
  gang.share(head.data(), sizeof head);
  bytes.resize(head[0]);
  if (head[0] > 0) gang.share(bytes.data(), bytes.size());
  if (gang.leads()) return;
  turn = {{}, head[1] != 0};
  for (std::size_t at = 0; at < bytes.size();) {
    std::uint64_t size = 0;
    std::memcpy(&size, bytes.data() + at, sizeof size);
    at += sizeof size;
    turn.messages.emplace_back().ParseFromArray(bytes.data() + at, static_cast<int>(size));
    at += size;
  }
}

class Service {
 public:
  Service(const ServiceOptions& options, Gang& gang)
      : options_(options),
        gang_(gang),
        resources_(options.root, options.device, gang, options.engine, options.prefix),
        runner_(resources_) {
    if (options.fd >= 0) channel_.emplace(options.fd);
  }

  int run() {
    if (!channel_) {
      compute();
      return 0;
    }
    wire::Envelope hello;
    hello.mutable_trainer_hello()->set_protocol(kProtocolVersion);
    hello.mutable_trainer_hello()->set_version(options_.version);
    hello.mutable_trainer_hello()->set_device(options_.device);
    if (const auto sent = channel_->send(hello); !sent) {
      spdlog::error("cannot greet the worker: {}", sent.error().message);
      return 1;
    }
    // The listener starts after the hello, which the protocol wants first.
    auto computed = computed_.get_future();
    std::thread listener([this, &computed] { listen(computed); });
    compute();
    computed_.set_value();
    channel_->shutdown();
    listener.join();
    return 0;
  }

 private:
  // The socket's thread: frames in, Alive out, until either end closes.
  void listen(std::future<void>& computed) {
    auto last_alive = std::chrono::steady_clock::now() - kAliveEvery;
    for (;;) {
      auto frame = channel_->receive(kAliveEvery / 2);
      if (!frame) break;
      if (frame->has_value()) mailbox_.put(std::move(**frame));
      const auto now = std::chrono::steady_clock::now();
      if (now - last_alive < kAliveEvery) continue;
      last_alive = now;
      wire::Envelope envelope;
      *envelope.mutable_alive() = board_.alive();
      if (!channel_->send(envelope)) break;
    }
    mailbox_.close();
    // A trainer without a worker must not live on, however long its pass is.
    if (computed.wait_for(kLastPass) != std::future_status::ready) std::_Exit(1);
  }

  void compute() {
    for (;;) {
      Turn turn;
      if (channel_) {
        // Without jobs there is nothing to do but wait; with jobs, only look.
        turn.messages = mailbox_.take(/*wait=*/runner_.running().empty());
        turn.over = mailbox_.closed();
      }
      share(gang_, turn);
      for (const auto& envelope : turn.messages) handle(envelope);
      if (turn.over || leaving_) return;
      runner_.turn();
      // The others wait in the middle of a pass for a rank whose job has failed.
      if (end_.failed && gang_.size() > 1) gang_.abandon();
      publish();
    }
  }

  void publish() {
    std::vector<wire::Fence> running;
    for (const auto& fence : runner_.running()) running.push_back(to_wire(fence));
    board_.set(std::move(running), runner_.passes());
  }

  void handle(const wire::Envelope& envelope) {
    switch (envelope.body_case()) {
      case wire::Envelope::kTrainerJob:
        start(envelope.trainer_job());
        return;
      case wire::Envelope::kStop: {
        // Search and cancel want the best model; drain, lost and pause mean that somebody else decides over the job.
        const auto& cause = envelope.stop().cause();
        runner_.stop(from_wire(envelope.stop().fence()), cause == "search" || cause == "cancel");
        return;
      }
      case wire::Envelope::kShutdown:
        if (envelope.shutdown().checkpoint_first()) runner_.suspend_all();
        leaving_ = true;
        return;
      default:
        spdlog::warn("the worker sent an unexpected message kind={}", static_cast<int>(envelope.body_case()));
    }
  }

  void start(const wire::TrainerJob& job) {
    const auto& assign = job.assign();
    const auto fence = from_wire(assign.fence());
    if (!channel_) {
      runner_.add(fence, {assign.settings(), assign.inputs(), job.folder()},
                  std::make_unique<FollowerEvents>(gang_, end_));
      return;
    }
    const auto send = [this](const wire::Envelope& envelope) {
      for (const auto& item : envelope.items().items()) end_.failed = end_.failed || item.has_failed();
      // A broken channel is noticed by the listener, which ends the process.
      if (const auto sent = channel_->send(envelope); !sent) spdlog::warn("not sent: {}", sent.error().message);
    };
    const auto device = assign.device().empty() ? options_.device : assign.device();
    runner_.add(fence, {assign.settings(), assign.inputs(), job.folder()},
                std::make_unique<WireEvents>(fence, device, send));
    publish();
  }

  std::optional<FrameChannel> channel_;  // to the worker; rank 0's
  const ServiceOptions options_;
  Gang& gang_;
  JobEnd end_;  // of the gang's one job; a trainer of many does not look at it
  Resources resources_;
  Runner runner_;
  Mailbox mailbox_;
  ProgressBoard board_;
  std::promise<void> computed_;
  bool leaving_ = false;  // compute thread only
};

}  // namespace

int serve(const ServiceOptions& options, Gang& gang) { return Service(options, gang).run(); }

}  // namespace fathom::trainer
