// What a job ended with: its result and its files. Only what lists show is taken; the rest is read from the log.

#include <algorithm>

#include <nlohmann/json.hpp>

#include "coordinator/core/event.pb.h"
#include "coordinator/store/projector.hpp"

namespace fathom::store {
namespace {

using I = std::int64_t;

I sql(std::uint64_t value) { return static_cast<I>(value); }

// The one file that stands for a result in the tables: the adapter's weights, or a fusion's (its folder is named by all
// members, with commas).
template <class Files>
std::string weights_of(const Files& files) {
  std::string fusion;
  for (const auto& file : files) {
    if (file.path() == "adapter.safetensors") return file.sha256();
    const bool weights = file.path().ends_with(".safetensors") && file.path().find(',') != std::string::npos;
    if (weights && fusion.empty()) fusion = file.sha256();
  }
  return fusion;
}

// As JSON. Most texts stand for themselves.
std::string json_text(const std::string& text) {
  const auto plain = [](char c) { return c >= 0x20 && c < 0x7f && c != '"' && c != '\\'; };
  return std::ranges::all_of(text, plain) ? '"' + text + '"' : nlohmann::json(text).dump();
}

// What a list shows of a result: its plain numbers and hashes; and how many rows its table has.
class SummaryReader final : public nlohmann::json_sax<nlohmann::json> {
 public:
  bool is_object = false;
  std::string stats;
  I rows = 0;

  bool null() override { return plain({}); }
  bool boolean(bool) override { return plain({}); }
  bool number_integer(number_integer_t value) override { return plain(std::to_string(value)); }
  bool number_unsigned(number_unsigned_t value) override { return plain(std::to_string(value)); }
  bool number_float(number_float_t, const string_t& text) override { return plain(text); }
  bool string(string_t& value) override { return plain(depth_ == 1 ? json_text(value) : std::string()); }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override {
    if (depth_ == 0) is_object = true;
    return enter();
  }
  bool start_array(std::size_t) override {
    enter();
    if (depth_ == 2 && key_ == "rows") rows = 0, in_rows_ = true;
    return true;
  }
  bool end_object() override { return leave(); }
  bool end_array() override { return leave(); }
  bool key(string_t& name) override {
    if (depth_ == 1) key_ = name;
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception&) override { return false; }

 private:
  bool enter() {
    if (in_rows_ && depth_ == 2) ++rows;
    ++depth_;
    return true;
  }
  bool leave() {
    if (--depth_ == 1) in_rows_ = false;
    return true;
  }
  bool plain(const std::string& text) {
    if (depth_ != 1 || text.empty()) return true;
    stats += stats.empty() ? '{' : ',';
    ((stats += json_text(key_)) += ':') += text;
    return true;
  }

  int depth_ = 0;
  bool in_rows_ = false;
  std::string key_;  // at depth 1
};

}  // namespace

void show_result(const event::Event& event, nlohmann::json& job) {
  const auto show = [&job](const auto& e) {
    auto result = nlohmann::json::parse(e.result(), nullptr, false);
    job["result"] = result.is_discarded() ? nlohmann::json::object() : std::move(result);
    job["files"] = nlohmann::json::array();
    for (const auto& file : e.files())
      job["files"].push_back({{"path", file.path()}, {"sha256", file.sha256()}, {"size", file.size()}});
  };
  if (event.has_job_finished()) show(event.job_finished());
  if (event.has_job_stopped()) show(event.job_stopped());
  if (event.has_job_reused()) show(event.job_reused());
}

void Projector::finished(const event::Event& event, JobRow& job) {
  const auto& e = event.job_finished();
  store_result(event, job, {I{e.fence().generation()}, I{e.fence().attempt()}}, e.result(), weights_of(e.files()));
  if (e.has_objective()) job.objective = e.objective();
  job.cause.clear();
}

// The result is kept whole with the job that took it: what it came from is in `source` (never a job that took one).
Status Projector::reused(const event::Event& event, JobRow& job) {
  const auto& e = event.job_reused();
  const I source = sql(e.source());
  FATHOM_ASSIGN(const JobRow* from, rows_.job(source));
  store_result(event, job, {I{e.source_generation()}, from == nullptr ? 0 : from->result_attempt}, e.result(),
               weights_of(e.files()));
  if (from != nullptr) {
    job.source = source;
    job.objective = from->objective;
    job.epoch = from->epoch;
    job.step = from->step;
    job.cause.clear();
  }
  return run("UPDATE sweeps SET reused = reused + 1 WHERE number = ?", job.sweep);
}

void Projector::stopped(const event::Event& event, JobRow& job) {
  const auto& e = event.job_stopped();
  job.epoch = e.epoch();
  job.step = sql(e.step());
  if (!e.result().empty())
    store_result(event, job, {I{e.fence().generation()}, I{e.fence().attempt()}}, e.result(), weights_of(e.files()));
  if (e.has_objective()) job.objective = e.objective();
}

// A new result of a job (another generation) replaces the old one whole.
void Projector::store_result(const event::Event& event, JobRow& job, Origin origin, const std::string& text,
                             std::string weights) {
  job.result_generation = origin.generation;
  job.result_attempt = origin.attempt;
  job.result_seq = sql(event.seq());
  job.result_rows = 0;
  job.sha256 = std::move(weights);
  SummaryReader summary;
  if (!nlohmann::json::sax_parse(text, &summary) || !summary.is_object) return;
  job.result_rows = summary.rows;
  job.stats = summary.stats.empty() ? "{}" : summary.stats + '}';
}

}  // namespace fathom::store
