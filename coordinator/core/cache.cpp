#include "coordinator/core/cache.hpp"

#include <algorithm>

#include "common/sha256.hpp"
#include "coordinator/core/machine.hpp"
#include "coordinator/core/searches.hpp"

namespace fathom::core {
namespace {

// Never 0, which says that there is none.
std::uint64_t short_hash(const std::string& text) { return std::max<std::uint64_t>(1, sha256_head(text)); }

// Timings are measured, not taken.
bool has_result(const sweeps::Job& planned) { return planned.kind != sweeps::Kind::benchmark; }

// Settings that rest at rungs wait for the values of all: one that has ended without them would hold them up for ever.
bool rests_at_rungs(const Sweep& sweep, const Job& job) {
  return is_grouped(sweep, job) && sweep.groups[sweep.group_of[job.index]].stopper.pauses();
}

bool takes_results(const State& state, const Job& job) {
  const Sweep& sweep = *state.sweep(job.sweep);
  return sweep.plan->cache.use && !job.fresh && has_result(state.planned(job)) && !rests_at_rungs(sweep, job) &&
         !awaits_point(sweep, job.index);
}

// What the job's task is bound to. Asked for each job of a sweep when it is submitted: where it has no folders, its
// task is the name.
TaskBinding& binding_in(Sweep& sweep, const sweeps::Job& planned) {
  return planned.folders.empty() ? sweep.bindings[planned.task] : sweep.bindings[binding_name(planned)];
}

// nullptr: not bound.
const TaskBinding* binding_of(const State& state, const Job& job) {
  const Sweep& sweep = *state.sweep(job.sweep);
  const auto found = sweep.bindings.find(binding_name(state.planned(job)));
  if (sweep.base_sha256.empty() || found == sweep.bindings.end() || found->second.data_sha256.empty()) return nullptr;
  return &found->second;
}

bool is_young(const State& state, const Sweep& sweep, const KnownResult& source) {
  const std::int64_t ttl = sweep.plan->cache.ttl_seconds;
  if (ttl == 0 || state.pinned.contains(JobNumber(source.job))) return true;
  return state.wall_ms / 1000 - source.made_secs <= ttl;
}

// Somebody else asks for the same and has it or makes it, if model, data and inputs are the same.
bool may_be_known(const State& state, const Job& job, sweeps::JobId id) {
  const Sweep& sweep = *state.sweep(job.sweep);
  bool known = false;
  state.results.each(id, [&](const KnownResult& one) { known = known || is_young(state, sweep, one); });
  const auto makers = state.training.equal_range(id);
  return known || std::any_of(makers.first, makers.second, [&](const auto& one) { return one.second != job.number; });
}

// A maker that has not said what it works with may make it.
bool is_being_made(const State& state, const Job& job, std::uint64_t key) {
  const auto makers = state.training.equal_range(asked_id(state, job));
  return std::any_of(makers.first, makers.second, [&](const auto& one) {
    const Job& maker = *state.job(one.second);
    const std::uint64_t made = result_key(state, maker);
    return maker.number != job.number && !maker.foreign && (made == key || made == 0);
  });
}

bool stands_aside(State& state, const Job& job) {
  if (!takes_results(state, job)) return false;
  const sweeps::JobId id = asked_id(state, job);
  if (id == sweeps::JobId() || !may_be_known(state, job, id)) return false;
  if (binding_of(state, job) == nullptr) return true;
  const std::uint64_t key = result_key(state, job);
  if (key == 0) return false;
  if (known_result(state, job, key) == nullptr) return is_being_made(state, job, key);
  state.pending.recall.insert(job.number);
  return true;
}

void withdraw_running(State& state, const Job& job) {
  const Phase phase = phase_of(job);
  const bool runs = phase == Phase::leased || phase == Phase::running;
  if (runs && takes_results(state, job)) state.pending.withdraw.insert(job.number);
}

// Of two that make the same, the one that began later is taken back.
void withdraw_known(State& state, const Job& job) {
  const sweeps::JobId id = asked_id(state, job);
  const auto makers = state.training.equal_range(id);
  const auto is_itself = [&](const auto& one) { return one.second == job.number; };
  // Mostly nobody else has been asked for it, and the key is not needed.
  if (!state.results.contains(id) && std::all_of(makers.first, makers.second, is_itself)) return;
  const std::uint64_t key = job.foreign ? 0 : result_key(state, job);
  if (key == 0) return;
  if (known_result(state, job, key) != nullptr) return withdraw_running(state, job);
  for (auto it = makers.first; it != makers.second; ++it) {
    const Job& other = *state.job(it->second);
    if (other.number == job.number || other.foreign || result_key(state, other) != key) continue;
    withdraw_running(state, other.lease < job.lease ? job : other);
  }
}

}  // namespace

std::string binding_name(const sweeps::Job& planned) {
  std::string name = planned.task;
  for (const sweeps::Folder& folder : planned.folders) name += "\n" + folder.path;
  return name;
}

sweeps::JobId asked_id(const State& state, const Job& job) {
  const Sweep& sweep = *state.sweep(job.sweep);
  const auto drawn = sweep.drawn.find(job.index);
  return drawn == sweep.drawn.end() ? state.planned(job).id : drawn->second.id;
}

std::uint64_t tree_hash(std::vector<File> files) {
  static const std::uint64_t kEmpty = short_hash("");
  if (files.empty()) return kEmpty;
  std::ranges::sort(files, {}, &File::path);
  std::string text;
  for (const File& file : files) ((text += file.path) += '\n') += file.sha256 + "\n";
  return short_hash(text);
}

std::uint64_t result_key(const State& state, const Job& job) {
  const sweeps::Job& planned = state.planned(job);
  const TaskBinding* binding = binding_of(state, job);
  if (binding == nullptr || !has_result(planned) || job.inputs.size() != planned.needs.size()) return 0;
  std::string text =
      asked_id(state, job).text() + "\n" + state.sweep(job.sweep)->base_sha256 + "\n" + binding->data_sha256;
  for (std::size_t i = 0; i < job.inputs.size(); ++i) {
    const Job& input = *state.job(job.inputs[i]);
    const auto* done = std::get_if<Succeeded>(&input.state);
    const auto* stopped = std::get_if<Stopped>(&input.state);
    if (done == nullptr && stopped == nullptr) return 0;
    const std::uint64_t tree = done != nullptr ? done->mark->tree : tree_hash(*stopped->outcome->files);
    text += "\n" + planned.needs[i].name + " " + std::to_string(tree);
  }
  return short_hash(text);
}

const KnownResult* known_result(const State& state, const Job& job, std::uint64_t key) {
  if (key == 0 || !takes_results(state, job)) return nullptr;
  const KnownResult* best = nullptr;
  const auto rank = [&](const KnownResult& one) {
    return std::pair(state.pinned.contains(JobNumber(one.job)), one.seq);
  };
  state.results.each(asked_id(state, job), [&](const KnownResult& one) {
    if (one.key != key || !is_young(state, *state.sweep(job.sweep), one)) return;
    if (best == nullptr || rank(*best) < rank(one)) best = &one;
  });
  return best;
}

void put_in_queue(const State& state, Sweep& sweep, const Job& job) {
  auto& queue = runs_alone(state, job) ? sweep.ready_alone : sweep.ready;
  queue.insert(job.index);
  ++binding_in(sweep, state.planned(job)).seekers;
}

void put_in(State& state, Sweep& sweep, const Job& job) {
  if (stands_aside(state, job)) {
    sweep.aside.insert(job.index);
  } else {
    put_in_queue(state, sweep, job);
  }
}

void take_out(State& state, Sweep& sweep, const Job& job) {
  state.pending.recall.erase(job.number);
  if (sweep.aside.erase(job.index)) return;
  sweep.ready.erase(job.index), sweep.ready_alone.erase(job.index);
  --binding_in(sweep, state.planned(job)).seekers;
}

void begin_training(State& state, Sweep& sweep, const Job& job) {
  state.training.emplace(asked_id(state, job), job.number);
  ++binding_in(sweep, state.planned(job)).seekers;
}

void stop_training(State& state, Sweep& sweep, const Job& job) {
  const auto makers = state.training.equal_range(asked_id(state, job));
  state.training.erase(
      std::find_if(makers.first, makers.second, [&](const auto& one) { return one.second == job.number; }));
  --binding_in(sweep, state.planned(job)).seekers;
  state.pending.withdraw.erase(job.number);
}

void add_result(State& state, sweeps::JobId asked, const ResultMark& mark, JobNumber job) {
  state.results.add(asked, {mark.key, mark.seq, mark.made_secs, static_cast<std::uint32_t>(job.value())});
}

void know_result(State& state, const Job& job) {
  const ResultMark& mark = *std::get<Succeeded>(job.state).mark;
  if (mark.key != 0 && mark.source == 0) add_result(state, asked_id(state, job), mark, job.number);
}

void withdraw_makers(State& state, const Job& job) {
  const auto makers = state.training.equal_range(asked_id(state, job));
  for (auto it = makers.first; it != makers.second; ++it) {
    const Job& maker = *state.job(it->second);
    if (maker.foreign || known_result(state, maker, result_key(state, maker)) == nullptr) continue;
    withdraw_running(state, maker);
  }
}

void look_again(State& state, Sweep& sweep, const Job& job) {
  if (phase_of(job) != Phase::ready) return;
  take_out(state, sweep, job);
  put_in(state, sweep, job);
  settle_binding(state, sweep, job);
}

void bind(State& state, Job& job, const std::string& base_sha256, const std::string& data_sha256) {
  Sweep& sweep = *state.sweep(job.sweep);
  const std::string task = binding_name(state.planned(job));
  TaskBinding& binding = sweep.bindings[task];
  const bool bound = binding_of(state, job) != nullptr;
  if (!base_sha256.empty() && !data_sha256.empty()) {
    if (sweep.base_sha256.empty()) sweep.base_sha256 = base_sha256;
    if (binding.data_sha256.empty() && base_sha256 == sweep.base_sha256) binding.data_sha256 = data_sha256;
  }
  job.foreign = base_sha256.empty() || base_sha256 != sweep.base_sha256 || data_sha256 != binding.data_sha256;
  if (!bound && binding_of(state, job) != nullptr) {
    std::vector<sweeps::JobIndex> waiting;
    const auto collect = [&](const JobSet& jobs) {
      for (const sweeps::JobIndex index : jobs) {
        if (binding_name(sweep.plan->jobs[index]) == task) waiting.push_back(index);
      }
    };
    collect(sweep.aside);
    if (!state.results.empty()) collect(sweep.ready), collect(sweep.ready_alone);
    for (const sweeps::JobIndex index : waiting)
      look_again(state, sweep, *state.job(JobNumber(sweep.first.value() + index)));
  }
  withdraw_known(state, job);
  tell_twins(state, job);
}

void settle_binding(State& state, Sweep& sweep, const Job& job) {
  if (sweep.aside.empty() || binding_of(state, job) != nullptr) return;
  const std::string task = binding_name(state.planned(job));
  if (sweep.bindings[task].seekers != 0) return;
  for (const sweeps::JobIndex index : sweep.aside) {
    if (binding_name(sweep.plan->jobs[index]) != task) continue;
    sweep.aside.erase(index);
    return put_in_queue(state, sweep, *state.job(JobNumber(sweep.first.value() + index)));
  }
}

void seek_bindings(State& state, Sweep& sweep) {
  const JobSet aside = sweep.aside;  // settle_binding() takes from it
  for (const sweeps::JobIndex index : aside)
    settle_binding(state, sweep, *state.job(JobNumber(sweep.first.value() + index)));
}

void tell_twins(State& state, const Job& job) {
  const sweeps::JobId id = asked_id(state, job);
  std::vector<JobNumber> drawn;  // copied: a look changes indexes
  const auto known = state.drawn.equal_range(id);
  for (auto it = known.first; it != known.second; ++it) drawn.push_back(it->second);
  std::ranges::sort(drawn);
  for (const JobNumber number : drawn) {
    if (number == job.number || !state.open_sweeps.contains(state.sweeps.number_of(number))) continue;
    const Job& twin = *state.job(number);
    Sweep& sweep = *state.sweep(twin.sweep);
    if (sweep.plan->cache.use) look_again(state, sweep, twin);
  }
  for (const SweepNumber number : state.open_sweeps) {
    Sweep& sweep = *state.sweep(number);
    const bool waits = !(sweep.aside.empty() && sweep.ready.empty() && sweep.ready_alone.empty());
    if (number == job.sweep || !waits || !sweep.plan->cache.use) continue;
    if (const auto twin = sweep.by_id.find(id))
      look_again(state, sweep, *state.job(JobNumber(sweep.first.value() + *twin)));
  }
}

}  // namespace fathom::core
