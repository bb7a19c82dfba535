#include "trainer/engine/run_job.hpp"

#include <google/protobuf/util/json_util.h>

#include <iostream>

#include "common/files.hpp"
#include "trainer/engine/resources.hpp"
#include "trainer/engine/runner.hpp"
#include "trainer/engine/wire_events.hpp"

namespace fathom::trainer {
namespace {

void print(const google::protobuf::Message& message, std::ostream& out) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string line;
  if (google::protobuf::util::MessageToJsonString(message, &line, options).ok()) out << line << "\n" << std::flush;
}

}  // namespace

int run_job(const RunJobOptions& options, std::ostream& out) {
  JobRequest request;
  request.folder = options.folder;
  const auto settings = read_file(options.settings.string());
  const auto inputs = options.inputs.empty() ? Result<std::string>(std::string()) : read_file(options.inputs.string());
  for (const auto* file : {&settings, &inputs}) {
    if (file->ok()) continue;
    std::cerr << "fathom-trainer run-job: " << file->error().message << "\n";
    return 1;
  }
  request.settings = *settings;
  request.inputs = *inputs;
  bool finished = false;
  const auto send = [&](const wire::Envelope& envelope) {
    for (const auto& item : envelope.items().items()) {
      finished = finished || item.has_finished();
      print(item, out);
    }
    if (envelope.has_metrics()) print(envelope.metrics(), out);
    if (envelope.has_trainer_log()) print(envelope.trainer_log(), out);
  };
  Resources resources(options.root, options.device);
  // The same runner as under a worker: what is debugged here is what runs there.
  Runner runner(resources);
  const Fence fence{JobNumber(1), 1, 1, LeaseId(1)};
  runner.add(fence, request, std::make_unique<WireEvents>(fence, options.device, send));
  while (runner.turn()) {
  }
  return finished ? 0 : 1;
}

}  // namespace fathom::trainer
