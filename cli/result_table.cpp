#include "cli/result_table.hpp"

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/benchmarks.hpp"
#include "cli/summary.hpp"
#include "cli/text_table.hpp"

namespace fathom::cli {

using nlohmann::json;

namespace {

constexpr std::size_t kMostDetails = 500;

std::string text(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return "";
  return found->is_string() ? found->get<std::string>() : found->dump();
}

// One line of the table: a task and drop, or a fusion with its set and how many adapters were kept.
struct LineKey {
  std::string task, set, kept, drop;
  auto operator<=>(const LineKey&) const = default;
};

struct Line {
  LineKey key;
  std::map<int, const Summary*> depths;  // the best setting's
  bool evaluated = false;                // an evaluate stage measured it: it knows more depths than the training
  double speed = 0;                      // sum of steps/s
  int speeds = 0;
  int stopped = 0;
  int reused = 0;
};

using Lines = std::vector<Line>;

Line& line_of(Lines& lines, const LineKey& key) {
  const auto found = std::find_if(lines.begin(), lines.end(), [&](const Line& line) { return line.key == key; });
  if (found != lines.end()) return *found;
  lines.push_back({key, {}, false, 0, 0, 0, 0});
  return lines.back();
}

void add_score(Line& line, const Summary& summary) {
  const bool evaluated = summary.row.value("kind", "") == "evaluate";
  if (line.evaluated && !evaluated) return;
  if (evaluated && !line.evaluated) {
    line.evaluated = true;
    line.depths.clear();
  }
  const Summary*& best = line.depths[summary.key.depth];
  if (best == nullptr || summary.mean() > best->mean()) best = &summary;
}

void add_job(Line& line, const json& job) {
  const json result = job.value("result", json());
  const json speed = result.is_object() ? result.value("steps_per_s", json()) : json();
  if (speed.is_number() && speed.get<double>() > 0) {
    line.speed += speed.get<double>();
    ++line.speeds;
  }
  line.stopped += text(job, "state") == "stopped" ? 1 : 0;
  line.reused += job.value("cached", json(false)) == json(true) ? 1 : 0;
}

std::string score(const Summary* summary) {
  if (summary == nullptr) return "";
  const auto deviation = summary->deviation();
  return deviation ? fmt::format("{:.3f}±{:.3f}", summary->mean(), *deviation) : fmt::format("{:.3f}", summary->mean());
}

std::string what(const LineKey& key) {
  if (key.set.empty()) return key.drop;
  return key.set + (key.drop == "standard" || key.drop.empty() ? "" : " " + key.drop) +
         (key.kept.empty() ? "" : ", kept " + key.kept);
}

}  // namespace

std::string result_table(const json& rows, const json& jobs) {
  const std::vector<Summary> summaries = summarize(rows);
  Lines lines;
  std::set<int> depths;
  for (const Summary& summary : summaries) {
    if (!summary.primary || summary.key.task == "average") continue;
    add_score(line_of(lines, {summary.key.task, summary.key.set, summary.key.kept, summary.key.drop}), summary);
    depths.insert(summary.key.depth);
  }
  for (const json& job : jobs) {
    if (text(job, "kind") == "evaluate") continue;
    const std::string kept = text(job, "keep") == "0" ? "" : text(job, "keep");
    const LineKey key{text(job, "task"), text(job, "set"), kept, text(job, "drop")};
    const auto found = std::find_if(lines.begin(), lines.end(), [&](const Line& line) { return line.key == key; });
    if (found != lines.end()) add_job(*found, job);
  }
  // A task's fusions stand below its single adapters.
  std::stable_sort(lines.begin(), lines.end(), [](const Line& a, const Line& b) {
    return a.key.task != b.key.task ? a.key.task < b.key.task : a.key.set.empty() > b.key.set.empty();
  });
  std::vector<std::string> headings = {"task", "adapter or fusion"};
  for (const int depth : depths) headings.push_back(fmt::format(">drop {}", depth));
  headings.insert(headings.end(), {">steps/s", ">stopped", ">reused"});
  TextTable table(headings);
  for (const Line& line : lines) {
    std::vector<std::string> cells = {line.key.task, what(line.key)};
    for (const int depth : depths) {
      const auto found = line.depths.find(depth);
      cells.push_back(score(found == line.depths.end() ? nullptr : found->second));
    }
    cells.push_back(line.speeds == 0 ? "" : fmt::format("{:.1f}", line.speed / line.speeds));
    cells.push_back(std::to_string(line.stopped));
    cells.push_back(std::to_string(line.reused));
    table.row(std::move(cells));
  }
  return table.text();
}

Result<std::string> result_table(Client& client, const std::string& sweep) {
  const std::string path = "/api/v1/sweeps/" + encode(sweep);
  FATHOM_ASSIGN(const json rows, client.items(path + "/results"));
  if (rows.empty()) return std::string();
  FATHOM_ASSIGN(json jobs, client.items(path + "/jobs"));
  // Speeds are in the jobs' results, which a list does not carry: asked for one by one while that is quick.
  for (std::size_t i = 0; i < jobs.size() && jobs.size() <= kMostDetails; ++i) {
    FATHOM_ASSIGN(jobs[i], client.get(path + "/jobs/" + encode(jobs[i].value("id", ""))));
  }
  std::string out = result_table(rows, jobs);
  const auto measured = [](const json& row) { return row.value("kind", json()) == "benchmark"; };
  if (std::any_of(rows.begin(), rows.end(), measured)) {
    FATHOM_ASSIGN(const json resolved, client.get(path + "/resolved"));
    out += benchmark_table(benchmark_rows(rows, jobs, resolved));
  }
  return out;
}

}  // namespace fathom::cli
