// A trainer that answers at once: it speaks the worker's protocol to the letter and trains nothing. With it the way of
// a job through coordinator and worker can be measured and killed. Its results are a function of the job's settings
// alone.
//
// Environment:
//   FATHOM_NOOP_EFFECTS=FILE     a line "start|finish job generation attempt" for each job begun and finished
//   FATHOM_NOOP_MS=N             milliseconds of work an epoch
//   FATHOM_NOOP_CHECKPOINTS=1    a small resumable checkpoint after each epoch
//   FATHOM_NOOP_POINTS=N         so many more metric points an epoch
//   FATHOM_NOOP_SPAWN=1          each job is a process: /bin/true, started and waited for
//   FATHOM_NOOP_VERDICTS=1       a report leaves after the verdict on the one before (without checkpoints)
//   FATHOM_NOOP_QUIET=1          no files beside results, no metric points, no log text: the bare way of a job
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>

#include "common/crash_point.hpp"
#include "common/files.hpp"
#include "common/protocol/channel.hpp"
#include "common/protocol/fences.hpp"
#include "common/protocol/wire.pb.h"
#include "common/sha256.hpp"
#include "tests/bench/spawn_true.hpp"

namespace fathom {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using Steady = std::chrono::steady_clock;
constexpr std::uint64_t kStepsPerEpoch = 16;
constexpr int kAtOnce = 512;  // messages taken between answers
constexpr int kPointsInFrame = 1000;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : value;
}

// Of canonical settings ("train":{…,"epochs":3,…}), which are not read whole for one number; 1 where there is none.
std::uint32_t epochs_in(std::string_view settings) {
  static constexpr std::string_view kTrain = "\"train\":{", kEpochs = "\"epochs\":";
  const std::size_t train = settings.find(kTrain);
  const std::size_t at = train == std::string_view::npos ? train : settings.find(kEpochs, train);
  std::uint32_t epochs = 1;
  if (at != std::string_view::npos)
    std::from_chars(settings.data() + at + kEpochs.size(), settings.data() + settings.size(), epochs);
  return epochs;
}

// In (0, 1), the same on every machine: from the first 13 hex digits of a hash.
double number_from(const std::string& text) {
  return static_cast<double>(std::stoull(sha256_hex(text).substr(0, 13), nullptr, 16)) / 4503599627370496.0;
}

struct Job {
  wire::TrainerJob order;
  std::uint32_t epoch = 0;  // finished
  std::uint32_t epochs = 1;
  std::uint32_t best = 0;
  double objective = -1;           // of the best epoch
  std::uint64_t items = 0;         // sent; the worker numbers them alike
  std::uint64_t judged = 0;        // number of the newest report
  std::uint64_t acknowledged = 0;  // all up to this one are durable, and their verdicts have come
  std::string stop;                // cause
  Steady::time_point due;          // when the present epoch is done
};

class NoopTrainer {
 public:
  NoopTrainer(int fd, std::string device)
      : channel_(fd), device_(std::move(device)), effects_(environment("FATHOM_NOOP_EFFECTS")) {
    const std::string work = environment("FATHOM_NOOP_MS");
    if (!work.empty()) epoch_time_ = Millis(std::atoi(work.c_str()));
    checkpoints_ = environment("FATHOM_NOOP_CHECKPOINTS") == "1";
    quiet_ = environment("FATHOM_NOOP_QUIET") == "1";
    verdicts_ = environment("FATHOM_NOOP_VERDICTS") == "1" && !checkpoints_;
    spawns_ = environment("FATHOM_NOOP_SPAWN") == "1";
    const std::string points = environment("FATHOM_NOOP_POINTS");
    if (!points.empty()) points_ = std::stoul(points);
  }

  // Until the worker closes the channel or says Shutdown.
  int run() {
    wire::Envelope hello;
    hello.mutable_trainer_hello()->set_protocol(kProtocolVersion);
    hello.mutable_trainer_hello()->set_version(FATHOM_VERSION);
    hello.mutable_trainer_hello()->set_device(device_);
    hello.mutable_trainer_hello()->set_verdicts(verdicts_);
    if (!channel_.send(hello)) return 1;
    while (!ending_) {
      auto message = channel_.receive(wait());
      if (!message) return 0;
      // Whatever has come is taken before anything is answered, and all answers leave in one frame.
      for (int taken = 0; message->has_value() && taken < kAtOnce; ++taken) {
        handle(**message);
        message = channel_.receive(Millis(0));
        if (!message) return 0;
      }
      if (message->has_value()) handle(**message);
      work();
      flush();
      report_alive();
    }
    return 0;
  }

 private:
  [[nodiscard]] Millis wait() const {
    Steady::time_point next = alive_ + std::chrono::milliseconds(500);
    for (const auto& [fence, job] : jobs_) {
      if (!waits(job)) next = std::min(next, job.due);
    }
    return std::max(std::chrono::duration_cast<Millis>(next - Steady::now()), Millis(0));
  }

  void handle(wire::Envelope& envelope) {
    if (envelope.has_trainer_job()) begin(*envelope.mutable_trainer_job());
    if (envelope.has_shutdown()) ending_ = true;
    if (envelope.has_item_ack()) {
      const wire::ItemAck& ack = envelope.item_ack();
      const auto job = jobs_.lower_bound({JobNumber(ack.job()), ack.generation(), ack.attempt(), LeaseId()});
      if (job != jobs_.end() && job->first.job.value() == ack.job()) job->second.acknowledged = ack.sequence();
    }
    if (envelope.has_stop()) {
      const auto job = jobs_.find(from_wire(envelope.stop().fence()));
      if (job != jobs_.end()) job->second.stop = envelope.stop().cause();
    }
  }

  void begin(wire::TrainerJob& order) {
    Job job;
    job.order.Swap(&order);
    const wire::Assign& assign = job.order.assign();
    job.epochs = epochs_in(assign.settings());
    if (assign.has_resume()) resume(job);
    note("start", assign.fence());
    wire::Item item = item_of(job);
    item.mutable_started()->set_device(device_);
    item.mutable_started()->set_base_sha256(base_sha256_);
    item.mutable_started()->set_data_sha256(data_sha256_);
    item.mutable_started()->set_resumed_epoch(job.epoch);
    send(job, std::move(item));
    job.due = Steady::now() + epoch_time_;
    const Fence fence = from_wire(assign.fence());
    jobs_.emplace(fence, std::move(job));
  }

  void resume(Job& job) {
    const auto text = read_file(job.order.folder() + "/resume.ckpt");
    if (!text) return;
    const Json saved = Json::parse(*text, nullptr, false);
    if (!saved.is_object()) return;
    job.epoch = saved.value("epoch", 0u);
    job.best = saved.value("best", 0u);
    job.objective = saved.value("objective", -1.0);
  }

  // Its newest report has no verdict yet.
  [[nodiscard]] bool waits(const Job& job) const {
    return verdicts_ && job.stop.empty() && job.acknowledged < job.judged;
  }

  void work() {
    const auto now = Steady::now();
    for (auto entry = jobs_.begin(); entry != jobs_.end();) {
      Job& job = entry->second;
      const bool ended = !job.stop.empty() ? stopped(job) : (job.due <= now && !waits(job) && finish_epoch(job));
      entry = ended ? jobs_.erase(entry) : std::next(entry);
      // Processes take their time: who waits for a slot hears of each that is free.
      if (spawns_ && Steady::now() - flushed_ > std::chrono::milliseconds(10)) flush();
    }
  }

  // True when it was the last epoch.
  bool finish_epoch(Job& job) {
    if (job.epoch < job.epochs) {
      ++job.epoch;
      ++epochs_done_;
      const double objective = number_from(fmt::format("{} epoch {}", job.order.assign().settings(), job.epoch));
      const bool better = objective > job.objective;
      if (better) {
        job.objective = objective;
        job.best = job.epoch;
      }
      if (!quiet_) send_metrics(job, objective);
      if (points_ != 0) send_points(job);
      if (checkpoints_) send_checkpoint(job, better);
      wire::Item item = item_of(job);
      item.mutable_report()->set_epoch(job.epoch);
      item.mutable_report()->set_step(job.epoch * kStepsPerEpoch);
      item.mutable_report()->set_objective(objective);
      send(job, std::move(item));
      job.judged = job.items;
    }
    job.due = Steady::now() + epoch_time_;
    if (job.epoch < job.epochs || waits(job)) return false;
    finish(job);
    return true;
  }

  void finish(Job& job) {
    wire::Item item = item_of(job);
    const std::string result = result_of(job);
    if (spawns_ && !run_true()) {
      item.mutable_failed()->set_error_class("engine");
      item.mutable_failed()->set_message("/bin/true did not end well");
      return send(job, std::move(item));
    }
    if (auto written = write_final(job, result); !written) {
      item.mutable_failed()->set_error_class("disk");
      item.mutable_failed()->set_message(written.error().message);
    } else {
      crash_point("final.written");
      item.mutable_finished()->set_result(result);
      note("finish", job.order.assign().fence());
    }
    send(job, std::move(item));
  }

  bool stopped(Job& job) {
    wire::Item item = item_of(job);
    wire::Stopped& message = *item.mutable_stopped();
    message.set_epoch(job.epoch);
    message.set_step(job.epoch * kStepsPerEpoch);
    if (job.epoch > 0 && job.stop != "pause") {  // one that pauses comes back
      message.set_result(result_of(job));
      if (!write_final(job, message.result())) message.clear_result();
    }
    send(job, std::move(item));
    return true;
  }

  [[nodiscard]] Status write_final(const Job& job, const std::string& result) const {
    const std::string folder = job.order.folder() + "/final";
    FATHOM_TRY(make_folders(folder));
    if (quiet_) return success();
    const Json settings = Json::parse(job.order.assign().settings(), nullptr, false);
    const Json file = {{"format", 1}, {"settings", settings}, {"result", Json::parse(result)}};
    return write_file_atomic(folder + "/fathom.json", file.dump(1) + "\n");
  }

  void send_checkpoint(Job& job, bool best) {
    const std::string path = fmt::format("checkpoints/epoch-{}.ckpt", job.epoch);
    if (!make_folders(job.order.folder() + "/checkpoints")) return;
    const Json saved = {
        {"job", job.order.assign().job_id()}, {"epoch", job.epoch}, {"best", job.best}, {"objective", job.objective}};
    if (!write_file_atomic(job.order.folder() + "/" + path, saved.dump())) return;
    wire::Item item = item_of(job);
    wire::Checkpoint& message = *item.mutable_checkpoint();
    message.set_epoch(job.epoch);
    message.set_step(job.epoch * kStepsPerEpoch);
    message.set_path(path);
    message.set_objective(job.objective);
    message.set_best(best);
    send(job, std::move(item));
  }

  [[nodiscard]] std::string result_of(const Job& job) const {
    return fmt::format(
        R"({{"attention":[],"base_sha256":"{}","data_sha256":"{}","device":"cpu","epoch":{},"epochs":{},"examples":{},)"
        R"("labels":["neg","pos"],"objective":{},"peak_memory":0,"rows":[{{"depth":0,"epoch":{},"metric":"accuracy",)"
        R"("primary":true,"split":"eval","value":{}}}],"seconds":0.0,"steps":{},"steps_per_s":0.0,"tokens":{}}})",
        base_sha256_, data_sha256_, job.best, job.epoch, job.epoch * 512, job.objective, job.best, job.objective,
        job.epoch * kStepsPerEpoch, job.epoch * 4096);
  }

  void send_metrics(const Job& job, double objective) {
    wire::Envelope envelope;
    wire::MetricBatch& batch = *envelope.mutable_metrics();
    *batch.mutable_fence() = job.order.assign().fence();
    const auto wall = SystemClock().wall().time_since_epoch().count();
    for (const char* name : {"train/loss", "eval/accuracy"}) {
      wire::MetricPoint& point = *batch.add_points();
      point.set_name(name);
      point.set_step(job.epoch * kStepsPerEpoch);
      point.set_value(std::string_view(name) == "train/loss" ? 1 - objective : objective);
      point.set_wall_ms(wall);
      point.set_depth(std::string_view(name) == "train/loss" ? -1 : 0);
    }
    push(envelope);
    wire::Envelope log;
    *log.mutable_trainer_log()->mutable_fence() = job.order.assign().fence();
    log.mutable_trainer_log()->set_line(fmt::format("epoch {} objective {:.4f}", job.epoch, objective));
    push(log);
  }

  void send_points(const Job& job) {
    const auto wall = SystemClock().wall().time_since_epoch().count();
    for (std::uint64_t sent = 0; sent < points_;) {
      wire::Envelope envelope;
      wire::MetricBatch& batch = *envelope.mutable_metrics();
      *batch.mutable_fence() = job.order.assign().fence();
      for (int i = 0; i < kPointsInFrame && sent < points_; ++i, ++sent) {
        wire::MetricPoint& point = *batch.add_points();
        point.set_name("bench/value");
        point.set_step((job.epoch - 1) * points_ + sent);
        point.set_value(static_cast<double>(sent));
        point.set_wall_ms(wall);
        point.set_depth(-1);
      }
      push(envelope);
    }
  }

  void report_alive() {
    if (Steady::now() - alive_ < std::chrono::milliseconds(500)) return;
    alive_ = Steady::now();
    wire::Envelope envelope;
    envelope.mutable_alive()->set_steps(epochs_done_ * kStepsPerEpoch);
    for (const auto& [fence, job] : jobs_) *envelope.mutable_alive()->add_running() = to_wire(fence);
    push(envelope);
  }

  static wire::Item item_of(const Job& job) {
    wire::Item item;
    *item.mutable_fence() = job.order.assign().fence();
    return item;
  }

  void send(Job& job, wire::Item item) {
    ++job.items;
    *answers_.mutable_items()->add_items() = std::move(item);
  }

  void flush() {
    flushed_ = Steady::now();
    if (answers_.items().items_size() == 0) return;
    push(answers_);
    answers_.Clear();
  }

  void push(const wire::Envelope& envelope) {
    if (!channel_.send(envelope)) ending_ = true;
  }

  // One write of one line with O_APPEND: whole, whoever else writes and whenever we are killed.
  void note(const char* what, const wire::Fence& fence) const {
    if (effects_.empty()) return;
    const int file = ::open(effects_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (file < 0) return;
    const std::string line = fmt::format("{} {} {} {}\n", what, fence.job(), fence.generation(), fence.attempt());
    [[maybe_unused]] const ssize_t written = ::write(file, line.data(), line.size());
    ::close(file);
  }

  FrameChannel channel_;
  wire::Envelope answers_;  // to be sent
  const std::string base_sha256_ = sha256_hex("base"), data_sha256_ = sha256_hex("data");
  const std::string device_;
  const std::string effects_;
  Millis epoch_time_{0};
  bool checkpoints_ = false;
  bool quiet_ = false;
  bool spawns_ = false;
  bool verdicts_ = false;
  std::uint64_t points_ = 0;
  bool ending_ = false;
  std::map<Fence, Job> jobs_;
  std::uint64_t epochs_done_ = 0;
  Steady::time_point flushed_{};
  Steady::time_point alive_{};
};

}  // namespace
}  // namespace fathom

int main(int argc, char** argv) {
  CLI::App app("A trainer that trains nothing, for tests and measurements.", "noop_trainer");
  int fd = -1;
  std::string device = "cpu";
  int threads = 1;
  std::string root, engine;
  std::vector<std::string> links;
  int spawns = 0;
  app.add_option("--measure-spawns", spawns, "start so many processes, print how many a second, end");
  app.add_option("--fd", fd, "descriptor of the socket to the worker");
  app.add_option("--device", device, "named in what it reports");
  app.add_option("--threads", threads, "taken for compatibility");
  app.add_option("--root", root, "taken for compatibility");
  app.add_option("--engine", engine, "taken for compatibility");
  app.add_option("--links", links, "taken for compatibility");
  std::string prefix_store, prefix_limit;
  app.add_option("--prefix-store", prefix_store, "taken for compatibility");
  app.add_option("--prefix-limit", prefix_limit, "taken for compatibility");
  CLI11_PARSE(app, argc, argv);
  if (spawns > 0) return fathom::measure_spawns(spawns);
  if (fd < 0) return 2;
  ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  return fathom::NoopTrainer(fd, device).run();
}
