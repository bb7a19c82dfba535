// watch and run: following a sweep until it ends.
#include <thread>

#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/client.hpp"
#include "cli/commands.hpp"
#include "cli/text_table.hpp"

namespace fathom::cli {

using nlohmann::json;

namespace {

constexpr Millis kInterval{500};
constexpr Millis kPatience{120'000};  // without an answer: a coordinator that restarts is waited for

TimePoint now() { return SystemClock().now(); }

long long count(const json& counts, const char* state) {
  const auto found = counts.find(state);
  return found != counts.end() && found->is_number() ? found->get<long long>() : 0;
}

// "[#####.....] 12/66  3 running, 2 stopped  1 min"
std::string progress(const json& sweep, double seconds) {
  const json counts = sweep.value("counts", json::object());
  long long ended = 0;
  for (const char* state : {"succeeded", "stopped", "failed", "diverged", "cancelled", "skipped"})
    ended += count(counts, state);
  const long long all = std::max<long long>(sweep.value("jobs", 0), 1);
  const auto filled = static_cast<std::size_t>(20 * ended / all);
  std::string text =
      fmt::format("[{}{}] {}/{} jobs", std::string(filled, '#'), std::string(20 - filled, '.'), ended, all);
  for (const char* state : {"running", "stopped", "paused", "backoff", "failed", "diverged", "cancelled", "skipped"}) {
    if (count(counts, state) > 0) text += fmt::format(", {} {}", count(counts, state), state);
  }
  if (count(sweep, "reused") > 0) text += fmt::format(", {} reused", count(sweep, "reused"));
  return text + "  " + duration_text(seconds);
}

// A line that changes in place on a terminal; elsewhere a new line when the number of ended jobs changes.
class ProgressLine {
 public:
  explicit ProgressLine(bool silent) : silent_(silent), terminal_(::isatty(STDOUT_FILENO) != 0) {}

  void show(const json& sweep, double seconds) {
    if (silent_) return;
    const std::string text = progress(sweep, seconds);
    if (terminal_) {
      fmt::print("\r\x1b[K{}", text);
    } else if (const std::string head = text.substr(0, text.find("  ")); head != last_) {
      last_ = head;
      fmt::print("{}\n", text);
    }
    std::fflush(stdout);
  }
  void end() const {
    if (!silent_ && terminal_) fmt::print("\n");
  }

 private:
  bool silent_;
  bool terminal_;
  std::string last_;
};

// "; stopping saved 120 of 288 epochs (42 %)", or nothing.
std::string saved_text(const json& sweep) {
  const json saved = sweep.value("saved", json());
  if (!saved.is_object() || count(saved, "epochs") <= 0) return "";
  const auto epochs = count(saved, "epochs"), of = std::max(epochs, count(saved, "of"));
  return fmt::format("; stopping saved {} of {} epochs ({} %)", epochs, of, (100 * epochs + of / 2) / of);
}

bool has_ended(const json& sweep) {
  const std::string state = sweep.value("state", "running");
  return state == "succeeded" || state == "failed" || state == "cancelled";
}

// The sweep as it is now; a coordinator that is away for a while is waited for.
Result<json> ask(const Context& context, const std::string& path) {
  const TimePoint limit = now() + kPatience;
  while (true) {
    auto client = Client::open(context, Millis{10'000});
    Result<json> sweep = client ? client->get(path) : Result<json>(client.error());
    if (sweep || sweep.error().code != Errc::unavailable || now() > limit) return sweep;
    std::this_thread::sleep_for(kInterval);
  }
}

// What went wrong, a line for each of the first jobs.
void print_failures(const Context& context, const std::string& sweep) {
  auto client = Client::open(context);
  if (!client) return;
  for (const char* state : {"failed", "diverged"}) {
    const auto jobs = client->get("/api/v1/sweeps/" + encode(sweep) + "/jobs?limit=5&state=" + state);
    if (!jobs) return;
    for (const json& job : jobs->value("items", json::array())) {
      const json cause = job.value("cause", json());
      fmt::print(stderr, "{} {} {}: {}: {}\n", job.value("id", ""), job.value("stage", ""), job.value("task", ""),
                 state, cause.is_string() ? cause.get<std::string>() : "");
    }
  }
}

Result<int> follow(const Context& context, const std::string& sweep, bool print_json) {
  const std::string path = "/api/v1/sweeps/" + encode(sweep);
  ProgressLine line(context.json);
  while (true) {
    FATHOM_ASSIGN(const json found, ask(context, path));
    const double created = found.value("created", json(0)).get<double>();
    const json ended = found.value("ended", json());
    const double until = ended.is_number() && ended.get<double>() > 0
                             ? ended.get<double>()
                             : static_cast<double>(SystemClock().wall().time_since_epoch().count());
    line.show(found, (until - created) / 1000);
    if (has_ended(found)) {
      line.end();
      const std::string state = found.value("state", "");
      if (print_json) fmt::print("{}\n", found.dump());
      if (!context.json)
        fmt::print("{}: {} after {}{}\n", sweep, state, duration_text((until - created) / 1000), saved_text(found));
      if (state != "succeeded") print_failures(context, sweep);
      return state == "succeeded" ? 0 : 1;
    }
    std::this_thread::sleep_for(kInterval);
  }
}

}  // namespace

ExitCode watch(const Context& context, const std::string& sweep) { return follow(context, sweep, context.json); }

ExitCode run(const Context& context, const SweepFile& file, const UpOptions& up_options,
             const CollectOptions& collect_options) {
  FATHOM_TRY(ensure_up(context, up_options));
  FATHOM_ASSIGN(const json submitted, submit_file(context, file));
  if (!context.json) print_submitted(submitted);
  const std::string sweep = submitted.value("id", "");
  FATHOM_ASSIGN(const int ended, follow(context, sweep, false));
  CollectOptions options = collect_options;
  options.sweep = sweep;
  FATHOM_ASSIGN(const int collected, collect(context, options));
  return ended != 0 ? ended : collected;
}

}  // namespace fathom::cli
