#include "coordinator/api/runtime.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "common/crash_point.hpp"
#include "common/free_memory.hpp"
#include "common/planted.hpp"
#include "common/protocol/fences.hpp"
#include "coordinator/api/strand.hpp"

namespace fathom::api {

namespace asio = boost::asio;
namespace {

constexpr std::uint64_t kMuchPutAway = 10'000;  // jobs whose memory is worth giving back

}  // namespace

struct Runtime::Clockwork {
  explicit Clockwork(asio::io_context& io) : strand(io), timer(io) {}
  Strand strand;
  asio::steady_timer timer;
};

Runtime::Runtime(asio::io_context& io, const Clock& clock, Options options, Hooks hooks)
    : clock_(clock),
      options_(std::move(options)),
      hooks_(std::move(hooks)),
      clockwork_(std::make_unique<Clockwork>(io)),
      core_(options_.core) {}

Runtime::~Runtime() = default;

store::Executor Runtime::executor() {
  return [this](std::function<void()> task) { post(std::move(task)); };
}

core::Now Runtime::now() const { return {clock_.now(), clock_.wall()}; }

void Runtime::post(std::function<void()> work) { clockwork_->strand.post(std::move(work)); }

Status Runtime::start(store::EventStore& store, core::State from) {
  store_ = &store;
  const std::uint64_t first = from.seq + 1;
  core_.restore(std::move(from));
  const auto each = [this](const store::EventRecord& record) -> Status {
    event::Event event;
    if (!event.ParseFromString(record.bytes)) {
      return Error{Errc::corrupt, "event " + std::to_string(record.seq) + " of the log cannot be read"};
    }
    FATHOM_TRY(core_.replay(event));
    hooks_.event(event);
    return success();
  };
  FATHOM_TRY(store.load(first, each));
  appended_ = durable_ = core_.state().seq;
  decide(core::Start{options_.version}, [this, snapshot = first - 1](const Result<Applied>& applied) {
    if (!applied) return;
    epoch_ = std::get<core::Started>(applied->answer).epoch;
    spdlog::info("coordinator started epoch={} events={} snapshot={}", epoch_.load(), applied->seq, snapshot);
  });
  flush();
  schedule_tick();
  return success();
}

void Runtime::apply(core::Command command, Done done) {
  post([this, command = std::move(command), done = std::move(done)] {
    decide(command, done);
    flush();
  });
}

void Runtime::apply(Make make, Done done) {
  post([this, make = std::move(make), done = std::move(done)] {
    auto command = make(core_.state());
    if (!command) return done(command.error());
    decide(*command, done);
    flush();
  });
}

void Runtime::apply_here(core::Command command, Done done) {
  const bool decided = clockwork_->strand.here([this, command = std::move(command), done = std::move(done)](bool here) {
    decide(command, done);
    flush(here);
  });
  if (!decided) return;
  store_->commit_here([this](std::function<void()> task) {
    clockwork_->strand.here([task = std::move(task)](bool /*here*/) { task(); });
  });
}

void Runtime::inspect(std::function<void(const core::State&)> look) {
  clockwork_->strand.here([this, look = std::move(look)](bool /*here*/) { look(core_.state()); });
}

void Runtime::decide(const core::Command& command, const Done& done) {
  if (draining_ || broken_) {
    if (done) done(Error{Errc::unavailable, "the coordinator is stopping; try again in a moment"});
    return;
  }
  core::Step step = handle(command);
  auto tell = [done, rejection = std::move(step.rejection), answer = std::move(step.answer),
               seq = core_.state().seq](const Status& durable) {
    if (!done) return;
    if (!durable) return done(durable.error());
    if (rejection) return done(*rejection);
    done(Applied{answer, seq});
  };
  wait(std::move(step.effects), std::move(tell));
}

core::Step Runtime::handle(const core::Command& command) {
  core::Step step = core_.handle(command, now());
  for (const event::Event& event : step.events) {
    hooks_.event(event);
    batch_.push_back({event.seq(), event.SerializeAsString()});
  }
  return step;
}

void Runtime::wait(std::vector<core::Effect> effects, std::function<void(const Status&)> before) {
  pending_.push_back({core_.state().seq, std::move(effects), std::move(before)});
}

void Runtime::flush(bool quietly) {
  if (!batch_.empty()) {
    appended_ = batch_.back().seq;
    auto durable = [this, seq = appended_](const Status& status) { on_durable(seq, status); };
    std::vector<store::EventRecord> batch = std::exchange(batch_, {});
    if (quietly) {
      store_->append_quietly(std::move(batch), std::move(durable));
    } else {
      store_->append(std::move(batch), std::move(durable));
    }
  }
  release();
}

void Runtime::on_durable(std::uint64_t seq, const Status& status) {
  if (!status) {
    if (broken_) return;
    broken_ = true;
    for (Pending& pending : std::exchange(pending_, {})) {
      if (pending.before) pending.before(status);
    }
    return hooks_.fatal(status.error());
  }
  durable_ = seq;
  hooks_.durable(seq);
  release();
}

void Runtime::release() {
  const std::uint64_t known = planted(PlantedBug::early_ack) ? appended_ : durable_;
  while (!pending_.empty() && pending_.front().seq <= known) {
    const Pending next = std::move(pending_.front());
    pending_.pop_front();
    if (next.before) next.before(success());
    crash_point("answer.given");
    for (const core::Effect& effect : next.effects) {
      if (const auto* ack = std::get_if<core::SendAck>(&effect)) {
        gather(*ack);
      } else {
        deliver(effect);
      }
    }
    if (!next.effects.empty()) crash_point("effects.sent");
  }
  for (const core::SendAck& ack : std::exchange(acks_, {})) deliver(ack);
}

// Items of an attempt mostly come together, and one acknowledgement covers those before it.
void Runtime::gather(const core::SendAck& ack) {
  const auto same = [&](const core::SendAck& last) {
    return last.worker == ack.worker && last.fence == ack.fence && last.late == ack.late;
  };
  if (acks_.empty() || !same(acks_.back())) return acks_.push_back(ack);
  acks_.back().sequence = std::max(acks_.back().sequence, ack.sequence);
}

void Runtime::deliver(const core::Effect& effect) {
  if (const auto* released = std::get_if<core::ReleaseArtifact>(&effect))
    return hooks_.release_artifact(released->sha256);
  if (const auto* wanted = std::get_if<core::ReadResults>(&effect)) return read_results(*wanted);
  if (const auto* notice = std::get_if<core::SendNotice>(&effect)) {
    if (hooks_.notice) hooks_.notice(*notice);
    return;
  }
  const auto worker_of = [](const auto& one) {
    if constexpr (requires { one.worker; }) return one.worker;
    return WorkerNumber{};
  };
  const auto found = connected_.find(std::visit(worker_of, effect));
  if (found != connected_.end() && found->second.welcomed) found->second.link->deliver(effect);
}

// Whatever happens it is answered: the core asks for no other results meanwhile.
void Runtime::read_results(const core::ReadResults& wanted) {
  auto work = [this, wanted] {
    std::vector<std::uint64_t> seqs;
    for (const auto& one : wanted.wanted) seqs.push_back(one.seq);
    std::map<std::uint64_t, event::Event> found;
    const Status read = store_->read(seqs, [&](const store::EventRecord& record) {
      if (!found[record.seq].ParseFromString(record.bytes)) found.erase(record.seq);
    });
    if (!read) spdlog::warn("results cannot be read error=\"{}\"", read.error().message);
    core::ResultsRead answer;
    for (const auto& one : wanted.wanted) {
      const auto end = found.find(one.seq);
      answer.results.push_back(core::result_in(one, end == found.end() ? nullptr : &end->second));
    }
    apply(core::Command(std::move(answer)), {});
  };
  if (hooks_.background) return hooks_.background(std::move(work));
  work();
}

void Runtime::tick() {
  const auto deadline = core_.next_deadline();
  if (!draining_ && deadline && *deadline <= clock_.now()) {
    decide(core::Tick{}, {});
    flush();
  }
  tidy();
  hooks_.tick(core_.state());
}

// The allocator keeps what was freed, and is asked for it on another thread.
void Runtime::tidy() {
  const std::uint64_t before = core_.state().sweeps.jobs_away();
  core_.tidy(now());
  const std::uint64_t after = core_.state().sweeps.jobs_away();
  if (after > before) put_away_ += after - before;
  if (put_away_ < kMuchPutAway || !hooks_.background) return;
  put_away_ = 0;
  hooks_.background([] { return_free_memory(); });
}

void Runtime::schedule_tick() {
  if (options_.tick.count() == 0) return;
  clockwork_->timer.expires_after(options_.tick);
  clockwork_->timer.async_wait([this](boost::system::error_code error) {
    if (error) return;
    post([this] {
      tick();
      schedule_tick();
    });
  });
}

bool Runtime::is_current(const LinkPtr& link, WorkerNumber worker) {
  const auto found = connected_.find(worker);
  return found != connected_.end() && found->second.link == link;
}

void Runtime::join(LinkPtr link, core::WorkerHello hello, Done done) {
  post([this, link = std::move(link), hello = std::move(hello), done = std::move(done)] {
    // Decided here and not in decide(): the link must be the worker's before the next command is looked at, but gets
    // nothing before its welcome.
    if (draining_ || broken_) return done(Error{Errc::unavailable, "the coordinator is stopping"});
    core::Step step = handle(hello);
    if (step.rejection) {
      wait({}, [done, rejection = *step.rejection](const Status&) { done(rejection); });
      return flush();
    }
    const core::Joined joined = std::get<core::Joined>(step.answer);
    const auto old = connected_.find(joined.worker);
    if (old != connected_.end()) old->second.link->dismiss("the worker connected again");
    connected_[joined.worker] = {link, false, clock_.wall()};
    wait(std::move(step.effects), [this, link, joined, done, seq = core_.state().seq](const Status& durable) {
      if (!durable) return done(durable.error());
      if (is_current(link, joined.worker)) connected_[joined.worker].welcomed = true;
      done(Applied{joined, seq});
    });
    flush();
  });
}

void Runtime::leave(LinkPtr link, bool drained) {
  post([this, link = std::move(link), drained] {
    for (auto it = connected_.begin(); it != connected_.end(); ++it) {
      if (it->second.link != link) continue;
      const WorkerNumber worker = it->first;
      connected_.erase(it);
      decide(core::WorkerGone{worker, drained}, {});
      return flush();
    }
  });
}

void Runtime::expel(const std::string& uid) {
  post([this, uid] {
    for (const core::Worker& worker : core_.state().workers) {
      const auto found = worker.uid == uid ? connected_.find(worker.number) : connected_.end();
      if (found == connected_.end()) continue;
      found->second.link->revoked();
      connected_.erase(found);
      decide(core::WorkerGone{worker.number, false}, {});
      return flush();
    }
  });
}

void Runtime::heartbeat(LinkPtr link, core::Heartbeat heartbeat, std::int64_t clock_ms) {
  post([this, link = std::move(link), heartbeat = std::move(heartbeat), clock_ms] {
    const WorkerNumber worker = heartbeat.worker;
    if (!is_current(link, worker)) return;
    Connected& connected = connected_[worker];
    connected.heard = clock_.wall();
    const std::int64_t now_ms = connected.heard.time_since_epoch().count();
    if (clock_ms != 0 && connected.skew.see(clock_ms - now_ms)) {
      spdlog::warn("a worker's clock differs from the coordinator's worker={} {}", worker.value(),
                   connected.skew.text());
    }
    decide(heartbeat, {});
    flush();
  });
}

bool Runtime::take_item(const LinkPtr& link, ReceivedItem& item, Taken& taken) {
  const Fence fence = item.command.fence;
  if (!item.missing.empty()) {
    const core::Job* job = core_.state().job(fence.job);
    const bool applies = job != nullptr && job->generation == fence.generation && job->attempt == fence.attempt &&
                         item.command.sequence > job->sequence;
    if (applies) {
      link->dismiss("an item of " + describe(fence) + " names artifact " + item.missing + ", which was not uploaded");
      return false;
    }
  }
  if (draining_ || broken_) return true;
  core::Step step = handle(std::move(item.command));
  std::ranges::move(step.effects, std::back_inserter(taken.effects));
  if (step.rejection && step.rejection->code == Errc::permission_denied) taken.refused.push_back(fence);
  return true;
}

void Runtime::refused(const LinkPtr& link, const Fence& fence) {
  // Of an older generation it is not known who had it; a newer one, or another's, can only be made up.
  const core::Job* job = core_.state().job(fence.job);
  if (job == nullptr || fence.generation >= job->generation) link->forged(fence);
}

// What they lead to waits for the disk as one: their events are appended together.
void Runtime::items(LinkPtr link, std::vector<ReceivedItem> items, std::function<void()> done) {
  post([this, link = std::move(link), items = std::move(items), done = std::move(done)]() mutable {
    Taken taken;
    for (ReceivedItem& item : items) {
      if (!is_current(link, item.command.worker) || !take_item(link, item, taken)) break;
    }
    wait(std::move(taken.effects), [this, link, fences = std::move(taken.refused)](const Status& durable) {
      if (!durable) return;
      for (const Fence& fence : fences) refused(link, fence);
    });
    wait({}, [done](const Status&) { done(); });
    flush();
  });
}

void Runtime::drain(std::function<void()> done) {
  post([this, done = std::move(done)] {
    draining_ = true;
    if (broken_) return done();
    wait({}, [done](const Status&) { done(); });
    flush();
  });
}

}  // namespace fathom::api
