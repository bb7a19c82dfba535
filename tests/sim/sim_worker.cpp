#include "tests/sim/sim_worker.hpp"

#include "tests/sim/sim_trainer.hpp"
#include "tests/sim/sim_transfers.hpp"
#include "tests/sim/sim_uplink.hpp"
#include "tests/sim/world.hpp"
#include "worker/spooler.hpp"

namespace fathom::sim {
namespace {

class SimLoop final : public worker::Loop {
 public:
  SimLoop(Scheduler& scheduler, Life life, std::function<void()> stopped)
      : scheduler_(scheduler), life_(std::move(life)), on_stop_(std::move(stopped)) {}

  void post(Task task) override {
    if (stopped_) return;
    tasks_.push_back(std::move(task));
    if (std::exchange(asked_, true)) return;
    scheduler_.after(Millis(0), life_, [this] { batch(); });
  }
  void post_after(Millis delay, Task task) override {
    if (stopped_) return;
    scheduler_.after(delay, life_, [this, task = std::move(task)]() mutable { post(std::move(task)); });
  }
  void set_after_batch(Task task) override { after_batch_ = std::move(task); }
  void run() override {}
  void stop() override {
    if (!std::exchange(stopped_, true)) scheduler_.after(Millis(0), life_, on_stop_);
  }
  [[nodiscard]] TimePoint now() const override { return scheduler_.now(); }

 private:
  void batch() {
    std::vector<Task> batch;
    batch.swap(tasks_);
    asked_ = false;
    for (Task& task : batch) {
      if (!stopped_) task();
    }
    if (after_batch_ && !stopped_) after_batch_();
  }

  Scheduler& scheduler_;
  const Life life_;
  const std::function<void()> on_stop_;
  std::vector<Task> tasks_;
  Task after_batch_;
  bool asked_ = false, stopped_ = false;
};

Error full() { return {Errc::resource_exhausted, "no space left on the simulated disk"}; }
Error broken() { return {Errc::internal, "the simulated disk failed"}; }

Status answer(DiskAnswer what) {
  if (what == DiskAnswer::ok) return success();
  return what == DiskAnswer::full ? full() : broken();
}

class SpoolDisk final : public worker::Disk {
 public:
  explicit SpoolDisk(MemoryDisk& disk) : disk_(disk) {}

  [[nodiscard]] Result<std::unique_ptr<worker::DiskFile>> open(const std::filesystem::path& file) override {
    return std::unique_ptr<worker::DiskFile>(std::make_unique<File>(disk_, disk_.make(file.string())));
  }
  [[nodiscard]] Result<std::string> read(const std::filesystem::path& file, std::uint64_t) override {
    const FilePtr found = disk_.find(file.string());
    if (found == nullptr) return Error{Errc::not_found, "there is no such file"};
    return found->bytes;
  }
  [[nodiscard]] Status replace(const std::filesystem::path& file, std::string_view bytes) override {
    if (disk_.full) return full();
    if (disk_.broken_sync) return broken();
    disk_.replace(file.string(), std::string(bytes));
    return success();
  }
  void remove(const std::filesystem::path& file) override { disk_.remove(file.string(), false); }
  [[nodiscard]] std::vector<std::filesystem::path> list(const std::filesystem::path& folder) override {
    std::vector<std::filesystem::path> files;
    for (const std::string& path : disk_.list(folder.string())) files.emplace_back(path);
    return files;
  }
  [[nodiscard]] Status sync_folder(const std::filesystem::path&) override {
    if (disk_.broken_sync) return broken();
    disk_.sync_names();
    return success();
  }

 private:
  class File final : public worker::DiskFile {
   public:
    File(MemoryDisk& disk, FilePtr file) : disk_(disk), file_(std::move(file)), size_(file_->bytes.size()) {}
    [[nodiscard]] std::uint64_t size() const override { return size_; }
    [[nodiscard]] Status write(std::uint64_t offset, std::string_view bytes) override {
      return answer(disk_.write(*file_, offset, bytes));
    }
    [[nodiscard]] Status truncate(std::uint64_t size) override {
      MemoryDisk::truncate(*file_, size);
      return success();
    }
    [[nodiscard]] Status sync() override { return answer(disk_.sync(*file_)); }

   private:
    MemoryDisk& disk_;
    const FilePtr file_;
    const std::uint64_t size_;
  };
  MemoryDisk& disk_;
};

// ThreadSpooler without its thread: a round is written some milliseconds after it was asked for.
class SimSpooler final : public worker::Spooler {
 public:
  SimSpooler(World& world, MemoryDisk& disk, std::filesystem::path folder, Life life, Durable durable)
      : world_(world), life_(std::move(life)), disk_(disk), writer_(folder, std::move(durable), disk_) {}
  // A process that ends in order writes what is queued; a killed one does not.
  ~SimSpooler() override {
    if (!life_.alive()) return;
    writer_.write_round(queue_);
    writer_.close();
  }
  [[nodiscard]] std::vector<worker::SpoolContents> recover() override { return writer_.recover(); }

 private:
  void push(worker::SpoolJob job) override {
    queue_.push_back(std::move(job));
    if (std::exchange(asked_, true)) return;
    world_.scheduler.after(world_.random.millis(1, 5), life_, [this] {
      asked_ = false;
      std::vector<worker::SpoolJob> round;
      round.swap(queue_);
      writer_.write_round(round);
    });
  }

  World& world_;
  const Life life_;
  SpoolDisk disk_;
  worker::SpoolWriter writer_;
  std::vector<worker::SpoolJob> queue_;
  bool asked_ = false;
};

constexpr std::uint64_t kDisk = 1ULL << 40;  // bytes

worker::Options sim_options(const std::string& name) {
  worker::Options options;
  options.name = name;
  options.trainer_start = Millis(10'000);
  options.trainer_silence = Millis(8'000);
  options.trainer_progress = Millis(20'000);
  return options;
}

}  // namespace

struct SimWorker::Process {
  Life life;
  std::unique_ptr<worker::Agent> agent;
};

SimWorker::SimWorker(World& world, std::size_t index)
    : world_(world), index_(index), paths_("/worker-" + std::to_string(index), worker_uid(index)) {}

SimWorker::~SimWorker() {
  if (process_) process_->life.end();
}

worker::Surroundings SimWorker::surroundings(const Life& life) {
  worker::Surroundings made;
  made.loop = std::make_unique<SimLoop>(world_.scheduler, life, [this] { ended(); });
  made.make_transfers = [this, life](worker::Loop& loop) {
    return std::make_unique<SimTransfers>(world_, loop, files, life);
  };
  made.make_spooler = [this, life](worker::Spooler::Durable durable) {
    return std::make_unique<SimSpooler>(world_, disk, paths_.spool(), life, std::move(durable));
  };
  made.make_uplink = [this, life](worker::Uplink::Callbacks callbacks) {
    return std::make_unique<SimUplink>(world_, *this, life, std::move(callbacks));
  };
  made.start_trainer = [this](const worker::TrainerCommand&,
                              worker::Trainer::Callbacks callbacks) -> Result<std::unique_ptr<worker::Trainer>> {
    return std::unique_ptr<worker::Trainer>(std::make_unique<SimTrainer>(world_, *this, std::move(callbacks)));
  };
  made.disk_space = [this] { return worker::DiskSpace{disk.full ? 0 : kDisk, kDisk}; };
  made.wall = [this] { return world_.clock.wall(); };
  return made;
}

void SimWorker::start() {
  if (process_) return;
  disk.user = Life();
  std::erase_if(files, [&](const auto& file) { return file.first.starts_with(paths_.jobs().string() + "/"); });
  worker::AgentSetup setup;
  setup.options = sim_options(name());
  setup.devices = {{"cpu:0", "cpu", 1, world_.options.slots, 1}};
  setup.version = "simulated";
  process_ = std::make_unique<Process>();
  process_->agent = std::make_unique<worker::Agent>(std::move(setup), paths_, surroundings(process_->life));
  (void)process_->agent->run();  // returns at once: the loop is the scheduler's
  world_.say(name(), "started");
}

void SimWorker::die(const std::string& why, bool power, Millis down) {
  if (!process_) return;
  world_.say(name(), "ends: " + why);
  if (uplink != nullptr) uplink->vanish(!power);
  process_->life.end();
  disk.user.end();
  process_.reset();
  if (power) disk.lose_power(world_.random);
  world_.scheduler.after(down, always_, [this] { start(); });
}

void SimWorker::drain() {
  if (!process_) return;
  world_.say(name(), "SIGTERM");
  process_->agent->drain();
}

// The agent stopped its loop: drained, or its disk is broken.
void SimWorker::ended() {
  world_.say(name(), "has ended");
  if (uplink != nullptr) uplink->farewell();
  std::unique_ptr<Process> process = std::move(process_);
  process->agent.reset();
  process->life.end();
  world_.scheduler.after(world_.random.millis(500, 4000), always_, [this] { start(); });
}

SimTrainer* SimWorker::any_trainer() {
  return trainers.empty() ? nullptr : trainers[world_.random.below(trainers.size())];
}

}  // namespace fathom::sim
