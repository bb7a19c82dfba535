// Jobs given to trainers by hand: no coordinator, no worker, nothing durable. What orchestration adds to a sweep is
// measured against it (bench_overhead.py).
//
//   direct_trainer [--processes N] [--slots N] --folder DIR -- TRAINER ARGUMENT...
//
// Standard input: settings of a job, JSON, a line each; an empty line runs the jobs so far, in their order, at most
// `slots` at once in each process. Standard output: a line {"jobs": N, "seconds": S, "objectives": [...]} for each such
// batch.
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "common/protocol/channel.hpp"
#include "common/protocol/wire.pb.h"

namespace fathom {
namespace {

namespace fs = std::filesystem;
using Steady = std::chrono::steady_clock;

struct Process {
  std::unique_ptr<FrameChannel> channel;
  pid_t pid = 0;
  std::size_t running = 0;
};

void need(const Status& status) {
  if (!status) throw std::runtime_error(status.error().message);
}

Process start(std::vector<std::string> command) {
  const auto pair = make_socket_pair();
  if (!pair) throw std::runtime_error(pair.error().message);
  const int inherited = ::dup(pair->theirs);  // without close-on-exec
  ::close(pair->theirs);
  command.insert(command.end(), {"--fd", std::to_string(inherited)});
  std::vector<char*> arguments;
  for (std::string& argument : command) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  Process process;
  const int failed = ::posix_spawn(&process.pid, arguments.front(), nullptr, nullptr, arguments.data(), environ);
  ::close(inherited);
  if (failed != 0) throw std::runtime_error(command.front() + " cannot be started");
  process.channel = std::make_unique<FrameChannel>(pair->ours);
  auto hello = process.channel->receive(std::chrono::seconds(60));
  if (!hello || !*hello || !(*hello)->has_trainer_hello()) throw std::runtime_error("the trainer says no hello");
  return process;
}

class Jobs {
 public:
  Jobs(std::vector<Process> processes, std::size_t slots, fs::path folder)
      : processes_(std::move(processes)), slots_(slots), folder_(std::move(folder)) {}

  void run(const std::vector<std::string>& settings) {
    const auto begin = Steady::now();
    objectives_.assign(settings.size(), nullptr);
    first_ = number_ + 1;
    std::size_t next = 0, ended = 0;
    while (ended < settings.size()) {
      // The emptiest process first, as the coordinator places them.
      for (auto place = emptiest(); next < settings.size() && place->running < slots_; place = emptiest())
        give(*place, settings[next++]);
      ended += take();
    }
    const std::chrono::duration<double> seconds = Steady::now() - begin;
    const nlohmann::json line = {{"jobs", settings.size()}, {"seconds", seconds.count()}, {"objectives", objectives_}};
    std::cout << line.dump() << std::endl;
  }

  void end() {
    for (Process& process : processes_) {
      process.channel->shutdown();
      ::waitpid(process.pid, nullptr, 0);
    }
  }

 private:
  std::vector<Process>::iterator emptiest() {
    return std::min_element(processes_.begin(), processes_.end(),
                            [](const Process& a, const Process& b) { return a.running < b.running; });
  }

  void give(Process& process, const std::string& settings) {
    ++number_;
    const fs::path folder = folder_ / std::to_string(number_);
    fs::create_directories(folder);
    wire::Envelope envelope;
    wire::TrainerJob& job = *envelope.mutable_trainer_job();
    job.mutable_assign()->mutable_fence()->set_job(number_);
    job.mutable_assign()->mutable_fence()->set_generation(1);
    job.mutable_assign()->mutable_fence()->set_attempt(1);
    job.mutable_assign()->set_settings(settings);
    job.mutable_assign()->set_inputs("{}");
    job.set_folder(folder.string());
    need(process.channel->send(envelope));
    ++process.running;
  }

  // Jobs that have ended.
  std::size_t take() {
    std::vector<pollfd> sockets;
    for (const Process& process : processes_) sockets.push_back({process.channel->fd(), POLLIN, 0});
    ::poll(sockets.data(), sockets.size(), 1000);
    std::size_t ended = 0;
    for (Process& process : processes_) {
      while (true) {
        auto message = process.channel->receive(Millis(0));
        if (!message) throw std::runtime_error(message.error().message);
        if (!*message) break;
        for (const wire::Item& item : (*message)->items().items()) ended += told(process, item) ? 1 : 0;
      }
    }
    return ended;
  }

  bool told(Process& process, const wire::Item& item) {
    if (item.has_failed()) throw std::runtime_error("a job failed: " + item.failed().message());
    if (!item.has_finished()) return false;
    --process.running;
    objectives_[item.fence().job() - first_] = nlohmann::json::parse(item.finished().result()).at("objective");
    return true;
  }

  std::vector<Process> processes_;
  const std::size_t slots_;
  const fs::path folder_;
  std::uint64_t number_ = 0, first_ = 1;
  std::vector<nlohmann::json> objectives_;
};

int run(std::size_t processes, std::size_t slots, const fs::path& folder, const std::vector<std::string>& command) {
  std::vector<Process> started;
  for (std::size_t i = 0; i < processes; ++i) started.push_back(start(command));
  Jobs jobs(std::move(started), slots, folder);
  std::vector<std::string> settings;
  for (std::string line; std::getline(std::cin, line);) {
    if (!line.empty()) {
      settings.push_back(line);
      continue;
    }
    jobs.run(settings);
    settings.clear();
  }
  jobs.end();
  return 0;
}

}  // namespace
}  // namespace fathom

int main(int argc, char** argv) {
  CLI::App app("Runs jobs in trainers without coordinator and worker.", "direct_trainer");
  std::size_t processes = 2, slots = 2;
  std::string folder;
  std::vector<std::string> command;
  app.add_option("--processes", processes, "Trainers");
  app.add_option("--slots", slots, "Jobs of a trainer at once");
  app.add_option("--folder", folder, "Where jobs write")->required();
  app.add_option("COMMAND", command, "The trainer and its arguments, behind --")->required();
  CLI11_PARSE(app, argc, argv);
  try {
    return fathom::run(processes, slots, folder, command);
  } catch (const std::exception& error) {
    fmt::print(stderr, "direct_trainer: {}\n", error.what());
    return 1;
  }
}
