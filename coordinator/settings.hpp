// Every key of configs/coordinator.yaml with its default: the one place where they are named. main fills it from the
// file, then FATHOM_COORDINATOR_* variables, then flags. Thread: a plain value.
#pragma once

#include <string>
#include <vector>

#include "common/config.hpp"

namespace fathom::coordinator {

struct Settings {
  std::string listen = "127.0.0.1:7447";
  std::string state;               // empty: ${XDG_STATE_HOME:-~/.local/state}/fathom
  std::vector<std::string> hosts;  // more names for the certificate

  Millis lease{15000};
  Millis heartbeat{3000};
  Millis orphan_grace{60000};
  Millis worker_certificate{30LL * 24 * 3600 * 1000};

  std::uint32_t connections = 1024;
  std::uint32_t http_threads = 4;
  Bytes body{4U << 20};
  Millis patience{10'000};
  std::uint32_t jobs = 100000;
  Bytes job_log{4U << 20};
  Bytes disk_reserve{64U << 20};
  std::uint32_t snapshot_every = 50000;

  bool notify_private = false;
  std::vector<std::string> notify_variables{"HOOK_URL", "HOOK_SECRET"};
  std::string notify_ca;
  Millis notify_pause{1000};
  Millis notify_give_up{24LL * 3600 * 1000};

  std::string log_level = "info";
  std::string log_format = "logfmt";
  std::string log_file;
};

// `settings` must outlive `config`.
inline void bind(Config& config, Settings& settings) {
  config.bind(
      "listen", settings.listen,
      "Address and port of everything: REST, dashboard, workers. Port 0 takes a free one. An address that is not "
      "loopback can be reached from other machines; every request then still needs a token.");
  config.bind("state", settings.state,
              "Folder of the event log, results, artifacts and keys. Empty: ${XDG_STATE_HOME:-~/.local/state}/fathom.");
  config.bind("hosts", settings.hosts,
              "More host names and addresses for the certificate, where workers on other machines use them.");
  config.bind("lease", settings.lease, "A worker that is silent for so long loses its jobs; they run again elsewhere.",
              {.min = 100, .max = 3600e3});
  config.bind("heartbeat", settings.heartbeat, "How often a worker renews its leases: at most a third of lease.",
              {.min = 50, .max = 1200e3});
  config.bind("orphan_grace", settings.orphan_grace,
              "A worker without contact for so long makes a checkpoint and stops its jobs.",
              {.min = 100, .max = 86400e3});
  config.bind(
      "worker_certificate", settings.worker_certificate,
      "How long a worker's certificate is good. Workers renew theirs when a third of that is left; one that was "
      "away for longer needs a new join token.",
      {.min = 1000, .max = 3650.0 * 86400e3});
  config.bind(
      "snapshot_every", settings.snapshot_every,
      "Events of the log after which the state is written down, so that a start need not read the whole log: in "
      "the next pause of the log, or when four times as many have come.",
      {.min = 10, .max = 1e9});
  config.bind("limits.connections", settings.connections, "Connections at once, workers and browsers together.",
              {.min = 8, .max = 65536});
  config.bind("limits.http_threads", settings.http_threads, "Threads that answer requests.", {.min = 1, .max = 64});
  config.bind("limits.body", settings.body, "Largest body of a request: a sweep file.", {.min = 1024, .max = 64 << 20});
  config.bind("limits.patience", settings.patience,
              "How long a peer may take for the head of a request or for its first message; three times as long for a "
              "body, and for taking what is sent to it.",
              {.min = 100, .max = 600e3});
  config.bind("limits.jobs", settings.jobs, "Most jobs of one sweep.", {.min = 1, .max = 100000});
  config.bind("limits.job_log", settings.job_log,
              "What is kept of the log of one attempt: its end, at least half of this.", {.min = 4096, .max = 1 << 30});
  config.bind("limits.disk_reserve", settings.disk_reserve,
              "New sweeps are refused when the disk has less free than this, so that running jobs can end.",
              {.min = 0});
  config.bind("notify.private", settings.notify_private,
              "Whether webhooks of sweeps may be on this machine or in a private network. Who submits a sweep chooses "
              "where its messages go: say true where you trust them with what this machine can reach.");
  config.bind("notify.variables", settings.notify_variables,
              "Variables of the coordinator's environment that sweeps may name as ${env:NAME}.");
  config.bind("notify.ca", settings.notify_ca,
              "File with one more CA (PEM) that webhooks' certificates may be of. Empty: the system's alone.");
  config.bind("notify.pause", settings.notify_pause,
              "Pause after a message that was not taken; doubled with each try, up to five minutes.",
              {.min = 10, .max = 300e3});
  config.bind("notify.give_up", settings.notify_give_up, "A message that was not taken for so long is given up.",
              {.min = 1000, .max = 30.0 * 86400e3});
  config.bind("log.level", settings.log_level, "trace, debug, info, warn or error.",
              {.choices = {"trace", "debug", "info", "warn", "error"}});
  config.bind("log.format", settings.log_format, "logfmt, or json: one object a line.",
              {.choices = {"logfmt", "json"}});
  config.bind("log.file", settings.log_file, "Where the log goes; empty: standard error.");
}

}  // namespace fathom::coordinator
