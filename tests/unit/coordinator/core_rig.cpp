#include "tests/unit/coordinator/core_rig.hpp"

#include <utility>

namespace fathom::core::test {
namespace {

// Of a job that kept another epoch too, which no other job is given.
std::vector<File> tree(const std::string& name) {
  return {{"adapter.safetensors", "sha-" + name, 100}, {"epochs/2/adapter.safetensors", "other-" + name, 100}};
}

std::string result_json(double objective) {
  return R"({"objective": )" + std::to_string(objective) + R"(, "epoch": 2, "rows": []})";
}

}  // namespace

// Equal ids everywhere: only the tests of the cache take results.
Planner::Planner() {
  plan.name = "test";
  plan.cache.use = false;
}

Planner& Planner::stage(const std::string& name, sweeps::Kind kind) {
  plan.stages.push_back({name, kind, {}, static_cast<sweeps::JobIndex>(plan.jobs.size()), 0});
  return *this;
}

Planner& Planner::stop(std::uint32_t eta, std::uint32_t min, std::uint32_t max) {
  sweeps::StopRule rule;
  rule.eta = eta;
  rule.min = min;
  rule.max = max;
  plan.stages.back().stop = rule;
  return *this;
}

sweeps::Job& Planner::add(const std::string& task) {
  sweeps::Job& job = plan.jobs.emplace_back();
  job.id = sweeps::JobId(plan.jobs.size() - 1);
  job.stage = static_cast<std::uint32_t>(plan.stages.size() - 1);
  job.kind = plan.stages.back().kind;
  job.task = task;
  job.drop = "standard";
  job.settings = sweeps::JobSettings({{"kind", plan.stages.back().name}, {"model", {{"path", "models/minilm"}}}});
  ++plan.stages.back().count;
  return job;
}

sweeps::JobIndex Planner::adapter(const std::string& task, double lr, std::int64_t seed) {
  sweeps::Job& job = add(task);
  job.parameters.set("train.lr", lr);
  job.seed = seed;
  job.group = plan.stages.back().name + "/" + task;
  job.epochs = 9;
  return static_cast<sweeps::JobIndex>(plan.jobs.size() - 1);
}

sweeps::JobIndex Planner::taking(const std::string& task, std::vector<sweeps::Need> needs) {
  add(task).needs = std::move(needs);
  return static_cast<sweeps::JobIndex>(plan.jobs.size() - 1);
}

sweeps::Need best_of(const std::string& name, const std::vector<sweeps::JobIndex>& jobs) {
  sweeps::Need need;
  need.name = name;
  for (const sweeps::JobIndex job : jobs) need.contenders.push_back({{job}});
  return need;
}

FakeWorker::FakeWorker(Rig& rig, std::string id, std::vector<std::uint32_t> slots) : uid(std::move(id)), rig_(rig) {
  for (std::size_t i = 0; i < slots.size(); ++i) {
    devices.push_back({"cpu:" + std::to_string(i), "cpu", 1, slots[i], "test", 1 << 30});
  }
}

Step FakeWorker::join(bool restarted) {
  WorkerHello hello{uid, uid, devices, {}, restarted, {}};
  for (const auto& [job, hand] : held) hello.held.push_back({hand.fence, true});
  connected = true;
  if (const auto known = rig_.state().worker_by_uid.find(uid); known != rig_.state().worker_by_uid.end()) {
    number = known->second;
  } else {
    number = WorkerNumber(static_cast<std::uint32_t>(rig_.state().workers.size() + 1));
  }
  return rig_.give(hello);
}

Step FakeWorker::gone(bool drained) {
  connected = false;
  if (drained) held.clear();
  return rig_.give(WorkerGone{number, drained});
}

Step FakeWorker::beat(const std::string& unfit) {
  Heartbeat heartbeat{number, {}, unfit};
  for (const auto& [job, hand] : held) heartbeat.held.push_back({hand.fence, true});
  return rig_.give(heartbeat);
}

Step FakeWorker::send(JobNumber job, Item what) {
  Hand& hand = held.at(job);
  return rig_.give(ItemReceived{number, hand.fence, ++hand.sequence, std::move(what)});
}

Step FakeWorker::started(JobNumber job) { return send(job, item::Started{"cpu:0", "base", "data", 0}); }

Step FakeWorker::report(JobNumber job, std::uint32_t epoch, double objective) {
  return send(job, item::Report{epoch, epoch * 10ULL, objective});
}

Step FakeWorker::checkpoint(JobNumber job, std::uint32_t epoch, const std::string& sha, bool best) {
  return send(
      job,
      Checkpoint{epoch, epoch * 10ULL, {"checkpoints/epoch-" + std::to_string(epoch) + ".ckpt", sha, 10}, 0.5, best});
}

Step FakeWorker::finish(JobNumber job, double objective) {
  Step step = send(job, item::Finished{result_json(objective), tree(std::to_string(job.value()))});
  held.erase(job);
  return step;
}

Step FakeWorker::fail(JobNumber job, const std::string& error_class, bool alone, bool watchdog) {
  Step step = send(job, item::Failed{error_class, "it broke", 5, alone, watchdog});
  held.erase(job);
  return step;
}

Step FakeWorker::stopped(JobNumber job, double objective) {
  const Hand hand = held.at(job);
  held.erase(job);  // first: a paused one may be assigned again in the same step
  return rig_.give(ItemReceived{number, hand.fence, hand.sequence + 1,
                                item::Stopped{1, 10, result_json(objective), tree(std::to_string(job.value()))}});
}

std::vector<JobNumber> FakeWorker::jobs() const {
  std::vector<JobNumber> out;
  for (const auto& [job, hand] : held) out.push_back(job);
  return out;
}

Rig::Rig(Options given) : options(given), core(std::make_unique<Core>(given)) {
  now.mono = TimePoint(Millis(1'000'000));
  now.wall = WallTime(Millis(1'700'000'000'000));
  give(Start{"test"});
}

Status Rig::apply_bytes(State& state, const std::string& bytes) const {
  event::Event event;
  if (!event.ParseFromString(bytes)) return Error{Errc::corrupt, "not an event"};
  PlanPtr plan;
  if (event.has_sweep_submitted()) plan = plans.at(event.sweep_submitted().resolved());
  return evolve(state, event, plan);
}

Result<PlanPtr> Rig::plan_of(std::uint64_t seq) const {
  event::Event event;
  if (seq == 0 || seq > log.size() || !event.ParseFromString(log[seq - 1]) || !event.has_sweep_submitted())
    return Error{Errc::corrupt, "no submit"};
  return plans.at(event.sweep_submitted().resolved());
}

Result<std::uint64_t> RigShelf::put(std::string_view bytes) {
  if (full) return Error{Errc::resource_exhausted, "full"};
  kept.emplace(next_, bytes);
  return next_++;
}

Result<std::string> RigShelf::get(std::uint64_t place) {
  ++brought;
  return kept.at(place);
}

Result<PlanPtr> RigShelf::plan(std::uint64_t submitted) { return rig_.plan_of(submitted); }

void Rig::put_away(Stay how) {
  shelf = std::make_shared<RigShelf>(*this), stay = how;
  State kept = core->state();
  kept.sweeps.use(shelf, stay);
  core->restore(std::move(kept));
}

Step Rig::give(const Command& command) {
  Step step = core->handle(command, now);
  for (const event::Event& event : step.events) {
    log.push_back(event.SerializeAsString());
    const Status status = apply_bytes(replica, log.back());
    EXPECT_TRUE(status.ok()) << status.error().message;
  }
  if (checking) {
    for (const std::string& broken : invariants(core->state())) ADD_FAILURE() << broken;
    EXPECT_EQ(digest(core->state()), digest(replica));
  }
  deliver(step);
  read_wanted();
  if (shelf) core->tidy(now);
  return step;
}

// As the runtime does when the step is durable.
void Rig::read_wanted() {
  if (wanted.empty() || !reading) return;
  ResultsRead answer;
  for (const ReadResults::Wanted& one : std::exchange(wanted, {})) {
    event::Event end;
    const bool found = one.seq != 0 && !lose_results && end.ParseFromString(log.at(one.seq - 1));
    answer.results.push_back(result_in(one, found ? &end : nullptr));
  }
  give(answer);
}

void Rig::deliver(const Step& step) {
  const auto worker_of = [&](WorkerNumber number) -> FakeWorker* {
    for (const auto& [uid, worker] : workers) {
      if (worker->number == number && worker->connected) return worker.get();
    }
    return nullptr;
  };
  if (const auto* joined = std::get_if<Joined>(&step.answer)) {
    FakeWorker* worker = worker_of(joined->worker);
    for (const Fence& fence : joined->abandon) {
      if (worker != nullptr) worker->held.erase(fence.job);
    }
  }
  for (const Effect& effect : step.effects) {
    if (const auto* assign = std::get_if<SendAssign>(&effect)) {
      if (FakeWorker* to = worker_of(assign->worker))
        to->held[assign->fence.job] = {assign->fence, *assign, 0}, to->stops.erase(assign->fence.job);
    } else if (const auto* stop = std::get_if<SendStop>(&effect)) {
      FakeWorker* to = worker_of(stop->worker);
      if (to == nullptr) continue;
      to->stops[stop->fence.job] = stop->cause;
      const auto hand = to->held.find(stop->fence.job);
      if (stop->cause == "lost" && hand != to->held.end() && hand->second.fence == stop->fence) to->held.erase(hand);
    } else if (const auto* ack = std::get_if<SendAck>(&effect)) {
      FakeWorker* to = worker_of(ack->worker);
      if (to == nullptr) continue;
      to->acks.push_back(*ack);
      const auto hand = to->held.find(ack->fence.job);
      if (ack->late && hand != to->held.end() && hand->second.fence == ack->fence) to->held.erase(hand);
    } else if (const auto* read = std::get_if<ReadResults>(&effect)) {
      wanted.insert(wanted.end(), read->wanted.begin(), read->wanted.end());
    } else if (const auto* release = std::get_if<ReleaseArtifact>(&effect)) {
      released.push_back(release->sha256);
    }
  }
}

SweepNumber Rig::submit(const sweeps::Plan& plan, const std::string& key) {
  SubmitSweep command;
  command.plan = std::make_shared<const sweeps::Plan>(plan);
  command.resolved = R"({"plan": )" + std::to_string(plans.size()) + "}";
  command.yaml = "name: test";
  command.idempotency_key = key;
  command.expander_version = sweeps::kExpanderVersion;
  plans[command.resolved] = command.plan;
  const Step step = give(command);
  EXPECT_FALSE(step.rejection) << step.rejection->message;
  return std::get<Submitted>(step.answer).sweep;
}

Step Rig::tick(Millis passed) {
  now.mono += passed;
  now.wall += passed;
  return give(Tick{});
}

void Rig::take_snapshot() {
  snapshot.clear();
  ASSERT_TRUE(save(state(), {}, [this](const snapshot::Record& record) -> Status {
                snapshot.push_back(record);
                return success();
              }).ok());
}

Result<State> Rig::restored() const {
  Restorer restorer([this](std::uint64_t seq) { return plan_of(seq); }, shelf);
  for (const snapshot::Record& record : snapshot) FATHOM_TRY(restorer.take(record));
  return restorer.finish();
}

void Rig::restart() {
  core = std::make_unique<Core>(options);
  replica = State{};
  for (const std::string& bytes : log) ASSERT_TRUE(apply_bytes(replica, bytes).ok());
  if (snapshot.empty()) {
    State again = replica;
    again.sweeps.use(shelf, stay);
    core->restore(std::move(again));
  } else {
    auto state = restored();
    ASSERT_TRUE(state.ok()) << state.error().message;
    for (std::size_t i = state->seq; i < log.size(); ++i) ASSERT_TRUE(apply_bytes(*state, log[i]).ok());
    ASSERT_EQ(digest(*state), digest(replica));
    state->sweeps.use(shelf, stay);
    core->restore(std::move(*state));
  }
  for (const auto& [uid, worker] : workers) worker->connected = false;
  wanted.clear();                   // the process that was to read them is gone
  now.mono = TimePoint(Millis(5));  // another process, another origin
  give(Start{"test"});
}

FakeWorker& Rig::worker(const std::string& uid, std::vector<std::uint32_t> slots, std::uint32_t ahead) {
  auto& slot = workers[uid];
  slot = std::make_unique<FakeWorker>(*this, uid, std::move(slots));
  for (Device& device : slot->devices) device.ahead = ahead;
  slot->join();
  return *slot;
}

JobNumber Rig::number(sweeps::JobIndex index) const { return JobNumber(sweep().first.value() + index); }
const Job& Rig::job(sweeps::JobIndex index) const { return *state().job(number(index)); }

std::size_t Rig::logged(event::Event::PayloadCase kind) const {
  std::size_t count = 0;
  for (const std::string& bytes : log) {
    event::Event event;
    count += event.ParseFromString(bytes) && event.payload_case() == kind ? 1 : 0;
  }
  return count;
}

}  // namespace fathom::core::test
