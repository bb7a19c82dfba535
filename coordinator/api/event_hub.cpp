#include "coordinator/api/event_hub.hpp"

#include <nlohmann/json.hpp>
#include <unordered_set>

#include "common/net/sse.hpp"

namespace fathom::api {
namespace {

using nlohmann::json;

constexpr std::uint32_t kJobs = 500;      // in one update
constexpr std::size_t kMetricJobs = 500;  // remembered between two updates

std::string event_text(const char* type, const json& data, const std::string& id = "") {
  return net::to_text({id, type, data.dump(-1, ' ', false, json::error_handler_t::replace)});
}

}  // namespace

class EventHub::Stream final : public LiveSource {
 public:
  Stream(std::shared_ptr<EventHub> hub, std::string sweep, std::uint64_t after, bool fresh)
      : hub_(std::move(hub)), sweep_(std::move(sweep)), seq_(after), fresh_(fresh) {
    ++hub_->count_;
  }
  ~Stream() override { --hub_->count_; }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  void start(std::function<void()> wake) override {
    const std::lock_guard lock(mutex_);
    wake_ = std::move(wake);
  }

  std::string take() override {
    bool changed = false;
    bool workers = false;
    std::unordered_set<JobNumber> points;
    {
      const std::lock_guard lock(mutex_);
      // Changes that come faster than ten times a second wait for the hub's next flush.
      const auto now = std::chrono::steady_clock::now();
      if (!fresh_ && now - taken_ < std::chrono::milliseconds(90)) return {};
      taken_ = now;
      changed = std::exchange(changed_, false);
      workers = std::exchange(workers_, false);
      points.swap(points_);
    }
    std::string text;
    if (std::exchange(fresh_, false)) text += greeting();
    if (changed) text += changes();
    if (workers) text += worker_events();
    for (const JobNumber job : points) text += metric_event(job);
    return text;
  }

  void mark(const store::Changes& changes) {
    const std::lock_guard lock(mutex_);
    changed_ = true;
    workers_ = workers_ || changes.workers;
  }

  void mark(const std::vector<JobNumber>& jobs) {
    const std::lock_guard lock(mutex_);
    for (const JobNumber job : jobs) {
      if (points_.size() < kMetricJobs) points_.insert(job);
    }
  }

  void flush() {
    std::function<void()> wake;
    {
      const std::lock_guard lock(mutex_);
      if (changed_ || workers_ || !points_.empty()) wake = wake_;
    }
    if (wake) wake();
  }

 private:
  // Clients that lost the line come back after a second; one that opens a sweep gets its present state first.
  std::string greeting() {
    std::string text = "retry: 1000\n: fathom events\n\n";
    if (sweep_.empty()) return text;
    const auto sweep = hub_->read_model_.sweep(sweep_);
    if (sweep) text += event_text("sweep", *sweep);
    return text;
  }

  std::string changes() {
    const auto changes = hub_->read_model_.changes_after(seq_, sweep_, kJobs);
    if (!changes) return {};
    std::vector<std::pair<const char*, const json*>> events;
    for (const json& sweep : changes->at("sweeps")) events.emplace_back("sweep", &sweep);
    for (const json& job : changes->at("jobs")) events.emplace_back("job", &job);
    seq_ = changes->at("seq").get<std::uint64_t>();
    std::string text;
    // Only the last one carries the id: a client that loses the line in the middle gets all of them again.
    for (std::size_t i = 0; i < events.size(); ++i) {
      text += event_text(events[i].first, *events[i].second, i + 1 == events.size() ? std::to_string(seq_) : "");
    }
    return text;
  }

  std::string worker_events() {
    const auto workers = hub_->read_model_.workers();
    std::string text;
    if (!workers) return text;
    for (const json& worker : workers->at("items")) text += event_text("worker", worker);
    return text;
  }

  // New points of a job: which job, for whoever draws it.
  std::string metric_event(JobNumber number) {
    const auto job = hub_->read_model_.job_by_number(number);
    if (!job) return {};
    const std::string sweep = job->value("sweep", "");
    if (!sweep_.empty() && sweep != sweep_) return {};
    return event_text("metric", {{"sweep", sweep}, {"job", job->value("id", "")}, {"number", number.value()}});
  }

  const std::shared_ptr<EventHub> hub_;
  const std::string sweep_;
  std::uint64_t seq_;  // the session's strand only
  bool fresh_;         // the session's strand only
  std::mutex mutex_;
  std::function<void()> wake_;
  std::chrono::steady_clock::time_point taken_{};
  bool changed_ = true;  // what happened since Last-Event-ID is asked for at once
  bool workers_ = false;
  std::unordered_set<JobNumber> points_;
};

std::shared_ptr<LiveSource> EventHub::open(const std::string& sweep, std::optional<std::uint64_t> after) {
  const std::uint64_t applied = read_model_.applied();
  // An id beyond the log is another log's: nothing of it can be resumed.
  const bool resumes = after && *after <= applied;
  auto stream = std::make_shared<Stream>(shared_from_this(), sweep, resumes ? *after : applied, true);
  const std::lock_guard lock(mutex_);
  std::erase_if(streams_, [](const auto& weak) { return weak.expired(); });
  streams_.push_back(stream);
  return stream;
}

void EventHub::changed(const store::Changes& changes) {
  const std::lock_guard lock(mutex_);
  for (const auto& weak : streams_) {
    if (auto stream = weak.lock()) stream->mark(changes);
  }
}

void EventHub::points(const std::vector<JobNumber>& jobs) {
  const std::lock_guard lock(mutex_);
  for (const auto& weak : streams_) {
    if (auto stream = weak.lock()) stream->mark(jobs);
  }
}

void EventHub::flush() {
  const std::lock_guard lock(mutex_);
  for (const auto& weak : streams_) {
    if (auto stream = weak.lock()) stream->flush();
  }
}

}  // namespace fathom::api
