#include "trainer/engine/train_file.hpp"

#include <google/protobuf/util/json_util.h>

#include <fstream>
#include <iostream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "common/files.hpp"
#include "common/yaml_json.hpp"
#include "trainer/engine/follower.hpp"
#include "trainer/engine/resources.hpp"
#include "trainer/engine/runner.hpp"
#include "trainer/engine/trace.hpp"
#include "trainer/parallel/mpi_gang.hpp"

namespace fathom::trainer {
namespace {

using nlohmann::json;

void print_json(const google::protobuf::Message& message, std::ostream& out) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string line;
  if (google::protobuf::util::MessageToJsonString(message, &line, options).ok()) out << line << "\n" << std::flush;
}

// The job's log, and how it ended. A failure is the last line of the log as well; it is said once.
class TextReport {
 public:
  TextReport(const TrainFileOptions& options, std::ostream& out) : options_(options), out_(out) {}
  ~TextReport() { flush(); }
  TextReport(const TextReport&) = delete;
  TextReport& operator=(const TextReport&) = delete;

  void log(const std::string& line) {
    flush();
    held_ = line;
  }
  void item(const wire::Item& item) {
    if (item.has_failed()) {
      held_.clear();
      std::cerr << "fathom-trainer train: " << item.failed().message() << "\n";
    }
    flush();
    if (!item.has_finished()) return;
    const auto result = json::parse(item.finished().result(), nullptr, false);
    out_ << fmt::format("finished: objective {:.4f}; the result is in {}\n", result.value("objective", 0.0),
                        (options_.folder / "final").string());
  }

 private:
  void flush() {
    if (!held_.empty()) out_ << held_ << std::endl;
    held_.clear();
  }
  const TrainFileOptions& options_;
  std::ostream& out_;
  std::string held_;
};

// JSON as it is (a tab in its indentation is no mistake there), anything else as YAML.
Result<std::string> read_settings(const std::filesystem::path& file) {
  FATHOM_ASSIGN(const std::string text, read_file(file.string()));
  if (json::accept(text)) return text;
  FATHOM_ASSIGN(const YamlDocument document, parse_yaml(text, file.string()));
  return document.value.dump();
}

int refused(const Error& error) {
  std::cerr << "fathom-trainer train: " << error.message << "\n";
  return 1;
}

// The job on this rank of the gang. Rank 0 reports.
int train(const JobRequest& request, const TrainFileOptions& options, Gang& gang, std::ostream& out) {
  Trace trace;
  if (!options.trace.empty() && gang.leads()) {
    if (const auto opened = trace.open(options.trace); !opened) {
      const int code = refused(opened.error());
      if (gang.size() > 1) gang.abandon();
      return code;
    }
  }
  JobEnd end;
  TextReport report(options, out);
  const auto send = [&](const wire::Envelope& envelope) {
    for (const auto& item : envelope.items().items()) {
      end.finished = end.finished || item.has_finished();
      options.json ? print_json(item, out) : report.item(item);
    }
    if (envelope.has_metrics() && options.json) print_json(envelope.metrics(), out);
    if (envelope.has_trainer_log())
      options.json ? print_json(envelope.trainer_log(), out) : report.log(envelope.trainer_log().line());
  };
  const Fence fence{JobNumber(1), 1, 1, LeaseId(1)};
  std::unique_ptr<JobEvents> events;
  if (gang.leads())
    events = std::make_unique<TracedEvents>(fence, options.device, send, trace);
  else
    events = std::make_unique<FollowerEvents>(gang, end);
  Resources resources(options.root, options.device, gang, options.engine, options.prefix);
  Runner runner(resources);
  runner.add(fence, request, std::move(events));
  while (runner.turn()) {
  }
  // Whatever this rank found wrong, the others must not wait for it.
  if (!end.finished && gang.size() > 1) gang.abandon();
  if (const auto written = trace.close(); !written) return refused(written.error());
  return end.finished ? 0 : 1;
}

}  // namespace

int train_file(const TrainFileOptions& options, std::ostream& out) {
  JobRequest request;
  request.folder = options.folder;
  const auto settings = read_settings(options.job);
  if (!settings) return refused(settings.error());
  const auto inputs = options.inputs.empty() ? Result<std::string>(std::string()) : read_file(options.inputs.string());
  if (!inputs) return refused(inputs.error());
  request.settings = *settings;
  request.inputs = *inputs;
  const auto gang = join_mpirun(options.device);
  if (!gang) return refused(gang.error());
  return train(request, options, **gang, out);
}

}  // namespace fathom::trainer
