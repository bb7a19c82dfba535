// What a worker is told at its start: flags over environment over configs/worker.yaml over the defaults here.
// Thread: made once by main, then read only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.hpp"
#include "common/config.hpp"
#include "common/result.hpp"

namespace fathom::worker {

// A device that jobs can be given to.
struct DeviceSpec {
  std::string name;           // "cpu:0", "cuda:1": what the coordinator calls it
  std::string kind;           // "cpu" | "cuda"; what `--device` of the trainer gets (a GPU: with its number)
  std::uint32_t threads = 1;  // CPU threads of the trainer
  std::uint32_t slots = 1;    // jobs at once
  std::uint32_t ranks = 1;    // of a gang: `name` joins the names of so many devices with '+'
};

struct Options {
  std::string coordinator = "127.0.0.1:7447";
  std::string join_token;  // file
  std::string ca;          // file; empty: the join token's fingerprint is believed
  std::string state;       // folder; empty: $XDG_STATE_HOME/fathom/worker
  std::string root = ".";
  std::vector<std::string> links;  // folders beside root that links below it may lead to
  std::vector<std::string> devices = {"auto"};
  std::uint32_t slots = 2;
  std::uint32_t run_ahead = 64;
  std::string engine = "packed";  // of the trainers; else "reference"
  std::string trainer;            // program; empty: fathom-trainer beside this program
  std::string name;               // empty: the host's name
  std::string log_level = "info";
  bool log_json = false;

  Millis reconnect_first = Millis(200);
  Millis reconnect_most = Millis(5000);
  Millis drain = Millis(9000);
  std::string trainer_user = "auto";
  Bytes trainer_memory{0};
  std::vector<std::string> trainer_environment;
  Millis trainer_start = Millis(120'000);
  Millis trainer_silence = Millis(60'000);
  Millis trainer_progress = Millis(1'800'000);
  Millis trainer_restart_first = Millis(200);
  Millis trainer_restart_most = Millis(30'000);
  Bytes disk_reserve{std::uint64_t{256} << 20};
  Bytes cache_limit{std::uint64_t{20} << 30};
  Bytes prefix_limit{std::uint64_t{2} << 30};
  Bytes metrics_limit{std::uint64_t{8} << 20};
  Bytes log_limit{std::uint64_t{4} << 20};
};

// Binds every key of configs/worker.yaml to its field.
void bind_options(Config& config, Options& options);

// {"auto"}: every GPU that `listed` has (what `fathom-trainer devices --json --measure` prints), else the cores as its
// first split shares them, else one "cpu:1" for each core, at most 8. Anything else stays as it is. Logs what was
// measured.
[[nodiscard]] std::vector<std::string> choose_devices(const std::vector<std::string>& texts, const std::string& listed,
                                                      unsigned cores);

// "cpu:2" = a CPU device of two threads, "cuda:1" = the GPU with number 1. CPU devices are named cpu:0, cpu:1, … in the
// order of `texts`. invalid_argument: anything else, no device at all, or a GPU named twice.
[[nodiscard]] Result<std::vector<DeviceSpec>> parse_devices(const std::vector<std::string>& texts, std::uint32_t slots);

// $XDG_STATE_HOME/fathom/worker, or the same below ~/.local/state.
[[nodiscard]] std::string default_state_folder();

}  // namespace fathom::worker
