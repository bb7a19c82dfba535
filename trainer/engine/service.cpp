#include "trainer/engine/service.hpp"

#include <spdlog/spdlog.h>

#include <cstdlib>
#include <future>
#include <thread>

#include "common/protocol/channel.hpp"
#include "common/protocol/fences.hpp"
#include "trainer/engine/mailbox.hpp"
#include "trainer/engine/resources.hpp"
#include "trainer/engine/runner.hpp"
#include "trainer/engine/wire_events.hpp"

namespace fathom::trainer {
namespace {

constexpr Millis kAliveEvery(500);
// A pass in progress when the worker is gone gets this long before the process ends without it.
constexpr std::chrono::seconds kLastPass(10);

class Service {
 public:
  explicit Service(const ServiceOptions& options)
      : channel_(options.fd), options_(options), resources_(options.root, options.device), runner_(resources_) {}

  int run() {
    wire::Envelope hello;
    hello.mutable_trainer_hello()->set_protocol(kProtocolVersion);
    hello.mutable_trainer_hello()->set_version(options_.version);
    hello.mutable_trainer_hello()->set_device(options_.device);
    if (const auto sent = channel_.send(hello); !sent) {
      spdlog::error("cannot greet the worker: {}", sent.error().message);
      return 1;
    }
    // The listener starts after the hello, which the protocol wants first.
    auto computed = computed_.get_future();
    std::thread listener([this, &computed] { listen(computed); });
    compute();
    computed_.set_value();
    channel_.shutdown();
    listener.join();
    return 0;
  }

 private:
  // The socket's thread: frames in, Alive out, until either end closes.
  void listen(std::future<void>& computed) {
    auto last_alive = std::chrono::steady_clock::now() - kAliveEvery;
    for (;;) {
      auto frame = channel_.receive(kAliveEvery / 2);
      if (!frame) break;
      if (frame->has_value()) mailbox_.put(std::move(**frame));
      const auto now = std::chrono::steady_clock::now();
      if (now - last_alive < kAliveEvery) continue;
      last_alive = now;
      wire::Envelope envelope;
      *envelope.mutable_alive() = board_.alive();
      if (!channel_.send(envelope)) break;
    }
    mailbox_.close();
    // A trainer without a worker must not live on, however long its pass is.
    if (computed.wait_for(kLastPass) != std::future_status::ready) std::_Exit(1);
  }

  void compute() {
    while (!mailbox_.closed() && !leaving_) {
      // Without jobs there is nothing to do but wait; with jobs, only look.
      for (const auto& envelope : mailbox_.take(/*wait=*/runner_.running().empty())) handle(envelope);
      runner_.turn();
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
    const auto send = [this](const wire::Envelope& envelope) {
      // A broken channel is noticed by the listener, which ends the process.
      if (const auto sent = channel_.send(envelope); !sent) spdlog::warn("not sent: {}", sent.error().message);
    };
    const auto device = assign.device().empty() ? options_.device : assign.device();
    runner_.add(fence, {assign.settings(), assign.inputs(), job.folder()},
                std::make_unique<WireEvents>(fence, device, send));
    publish();
  }

  FrameChannel channel_;
  const ServiceOptions options_;
  Resources resources_;
  Runner runner_;
  Mailbox mailbox_;
  ProgressBoard board_;
  std::promise<void> computed_;
  bool leaving_ = false;  // compute thread only
};

}  // namespace

int serve(const ServiceOptions& options) { return Service(options).run(); }

}  // namespace fathom::trainer
