#include "worker/options.hpp"

#include <fmt/format.h>

#include <spdlog/spdlog.h>
#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

namespace fathom::worker {
namespace {

std::optional<std::uint32_t> to_number(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

Error bad_device(const std::string& text) {
  return {Errc::invalid_argument,
          fmt::format("--devices: '{}' is no device; write cpu:THREADS (cpu:2) or cuda:NUMBER (cuda:0)", text)};
}

void bind_trainer(Config& config, Options& o) {
  config.bind("trainer.program", o.trainer, "The trainer program. Empty: fathom-trainer beside fathom-worker.");
  config.bind(
      "trainer.user", o.trainer_user,
      "Whom trainers run as where the worker is root: auto (nobody, who may still read every file), none (root), "
      "or a user's name or number, who needs permissions of its own.");
  config.bind("trainer.memory", o.trainer_memory,
              "Most address space of a trainer; more is an error inside of it. 0B: no limit, which GPUs need.");
  config.bind("trainer.environment", o.trainer_environment,
              "Environment variables that trainers get beside those for paths, threads, devices and collectives.");
  config.bind("trainer.start", o.trainer_start, "How long a trainer may take until it says hello.", {.min = 100});
  config.bind("trainer.silence", o.trainer_silence,
              "A trainer that says nothing for so long is ended and started anew.", {.min = 1000});
  config.bind("trainer.progress", o.trainer_progress,
              "A trainer whose jobs make no optimizer step for so long is ended and started anew.", {.min = 1000});
  config.bind("trainer.restart_first", o.trainer_restart_first,
              "Pause before a crashed trainer is started again; doubles.");
  config.bind("trainer.restart_most", o.trainer_restart_most, "The longest such pause.");
}

}  // namespace

void bind_options(Config& config, Options& o) {
  config.bind("coordinator", o.coordinator, "Address and port of the coordinator.");
  config.bind("join_token", o.join_token,
              "File with a join token that the coordinator made; used once, for the worker's certificate.");
  config.bind("ca", o.ca, "CA certificate of the coordinator. Empty: the one is believed that the join token names.");
  config.bind("state", o.state, "State folder. Empty: $XDG_STATE_HOME/fathom/worker (~/.local/state).");
  config.bind("root", o.root, "Folder that the model and data paths of sweeps are relative to.");
  config.bind("links", o.links, "Folders that symbolic links below root may lead to, e.g. a cache of models.");
  config.bind("devices", o.devices,
              "cpu:THREADS or cuda:NUMBER, one entry a device. auto: every GPU, else all cores, shared among at most 8 "
              "trainers as "
              "measured fastest at the start.");
  config.bind("slots", o.slots, "Jobs that may run at once on one device.", {.min = 1, .max = 64});
  config.bind("run_ahead", o.run_ahead,
              "Short jobs that may wait on one device behind those that run, so that the next one begins at once.",
              {.min = 0, .max = 1024});
  config.bind("engine", o.engine,
              "What computes in the trainers: packed, or reference (plain autograd over padded rows: slower, the same "
              "results within rounding).",
              {.choices = {"packed", "reference"}});
  config.bind("name", o.name, "The worker's name for people. Empty: the host's name.");
  config.bind("log.level", o.log_level, "What is logged.", {.choices = {"trace", "debug", "info", "warn", "error"}});
  config.bind("log.json", o.log_json, "One JSON object a line instead of logfmt.");
  config.bind("reconnect.first", o.reconnect_first, "Pause before the first new try to connect; doubles, with jitter.",
              {.min = 1});
  config.bind("reconnect.most", o.reconnect_most, "The longest such pause.", {.min = 1});
  config.bind("drain", o.drain, "After SIGTERM: how long trainers may write checkpoints and items may be delivered.");
  config.bind(
      "disk.reserve", o.disk_reserve,
      "No jobs are taken while the disk of the state folder has less free (of a small disk: a twentieth of it).");
  config.bind("cache.limit", o.cache_limit,
              "Bytes of fetched artifacts that are kept; the least recently used go first.");
  config.bind(
      "prefix.limit", o.prefix_limit,
      "Most bytes on disk of what the frozen base makes of rows that are read again, computed once for all jobs "
      "of recipe fast; reserved when it is used first. 0B: every pass computes it anew.");
  config.bind("spool.metrics", o.metrics_limit,
              "Metric points kept per attempt without contact; beyond it the oldest go.", {.min = 65536});
  config.bind("spool.log", o.log_limit, "Log text kept per attempt without contact; beyond it the oldest goes.",
              {.min = 65536});
  bind_trainer(config, o);
}

std::vector<std::string> choose_devices(const std::vector<std::string>& texts, const std::string& listed,
                                        unsigned cores) {
  if (texts != std::vector<std::string>{"auto"}) return texts;
  const auto list = nlohmann::json::parse(listed, nullptr, /*allow_exceptions=*/false);
  std::vector<std::string> gpus;
  for (const auto& device :
       list.is_object() ? list.value("devices", nlohmann::json::array()) : nlohmann::json::array()) {
    if (device.value("kind", "") == "cuda") gpus.push_back(device.value("name", ""));
  }
  // A GPU trains faster than all cores together; whoever wants both names both.
  if (!gpus.empty()) return gpus;
  const auto splits = list.is_object() ? list.value("splits", nlohmann::json::array()) : nlohmann::json::array();
  if (!splits.is_array() || splits.empty()) return std::vector<std::string>(std::clamp(cores, 1U, 8U), "cpu:1");
  for (const auto& split : splits)
    spdlog::info("measured: {} trainers of {} threads, {:.0f} rows/s", split.value("trainers", 1),
                 split.value("threads", 1), split.value("rows_per_s", 0.0));
  return std::vector<std::string>(std::clamp(splits[0].value("trainers", 1U), 1U, 8U),
                                  fmt::format("cpu:{}", splits[0].value("threads", 1U)));
}

Result<std::vector<DeviceSpec>> parse_devices(const std::vector<std::string>& texts, std::uint32_t slots) {
  std::vector<DeviceSpec> devices;
  std::set<std::string> names;
  int cpus = 0;
  for (const std::string& text : texts) {
    const auto colon = text.find(':');
    if (colon == std::string::npos) return bad_device(text);
    const std::string kind = text.substr(0, colon);
    const auto number = to_number(std::string_view(text).substr(colon + 1));
    if (!number || (kind != "cpu" && kind != "cuda")) return bad_device(text);
    if (kind == "cpu" && (*number == 0 || *number > 1024)) return bad_device(text);
    DeviceSpec device{text, kind, 1, slots};
    if (kind == "cpu") {
      device.name = fmt::format("cpu:{}", cpus++);
      device.threads = *number;
    }
    if (!names.insert(device.name).second) {
      return Error{Errc::invalid_argument, fmt::format("--devices: {} is named twice", device.name)};
    }
    devices.push_back(std::move(device));
  }
  if (devices.empty()) return Error{Errc::invalid_argument, "--devices: name at least one device, e.g. cpu:2"};
  return devices;
}

std::string default_state_folder() {
  if (const char* state = std::getenv("XDG_STATE_HOME"); state != nullptr && *state != '\0') {
    return std::string(state) + "/fathom/worker";
  }
  const char* home = std::getenv("HOME");
  return std::string(home != nullptr ? home : ".") + "/.local/state/fathom/worker";
}

}  // namespace fathom::worker
