#include "coordinator/api/convert.hpp"

#include <set>

#include "common/protocol/fences.hpp"
#include "common/protocol/wire.pb.h"
#include "common/sha256.hpp"

namespace fathom::api {
namespace {

constexpr int kDevices = 256;
constexpr std::uint32_t kSlots = 1024;
constexpr std::size_t kName = 128;  // bytes
constexpr std::size_t kPath = 512;  // bytes
constexpr int kFiles = 5000;        // in one final tree, which may hold the trees of 20 epochs

Error bad(const std::string& text) { return {Errc::invalid_argument, text}; }

bool is_name(const std::string& text) {
  if (text.empty() || text.size() > kName) return false;
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return false;
  }
  return true;
}

// A worker's words for a person: short, and one line.
std::string sentence(std::string text) {
  if (text.size() > 2 * kName) text = "it did not say why in a few words";
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return text;
}

// A path below a folder: workers and `collect` will make it, so nothing may lead out.
bool is_relative(const std::string& path) {
  if (path.empty() || path.size() > kPath || path.front() == '/' || path.find('\\') != std::string::npos) return false;
  std::string_view rest = path;
  while (!rest.empty()) {
    const auto slash = rest.find('/');
    const std::string_view part = rest.substr(0, slash);
    if (!is_name(std::string(part)) || part == "." || part == "..") return false;
    if (slash == std::string_view::npos) return true;
    rest.remove_prefix(slash + 1);
  }
  return false;
}

Result<core::File> file_from_wire(const wire::File& file) {
  if (!is_sha256(file.sha256())) return bad("an item names a file without a SHA-256");
  if (!is_relative(file.path())) return bad("an item names a file with the path \"" + file.path() + "\"");
  return core::File{file.path(), file.sha256(), file.size()};
}

template <class Message>
Result<std::vector<core::File>> files_from_wire(const Message& message) {
  if (message.files_size() > kFiles) return bad("an item names more than " + std::to_string(kFiles) + " files");
  std::vector<core::File> files;
  for (const wire::File& file : message.files()) {
    FATHOM_ASSIGN(core::File one, file_from_wire(file));
    files.push_back(std::move(one));
  }
  return files;
}

Result<core::Checkpoint> checkpoint_from_wire(const wire::Checkpoint& checkpoint) {
  FATHOM_ASSIGN(core::File file, file_from_wire(checkpoint.file()));
  return core::Checkpoint{checkpoint.epoch(), checkpoint.step(), std::move(file), checkpoint.objective(),
                          checkpoint.best()};
}

std::vector<core::Held> held(const google::protobuf::RepeatedPtrField<wire::Held>& list) {
  std::vector<core::Held> out;
  out.reserve(static_cast<std::size_t>(list.size()));
  for (const wire::Held& one : list) out.push_back({from_wire(one.fence()), one.running()});
  return out;
}

void set_file(const core::File& from, wire::File& to) {
  to.set_path(from.path);
  to.set_sha256(from.sha256);
  to.set_size(from.size);
}

void set_checkpoint(const core::Checkpoint& from, wire::Checkpoint& to) {
  to.set_epoch(from.epoch);
  to.set_step(from.step);
  set_file(from.file, *to.mutable_file());
  to.set_objective(from.objective);
  to.set_best(from.best);
}

}  // namespace

Result<core::WorkerHello> hello_from_wire(const wire::Hello& hello) {
  if (!is_name(hello.worker_uid()) || !is_name(hello.name()))
    return bad("a worker needs a uid and a name of 1 to 128 bytes");
  if (hello.devices_size() == 0 || hello.devices_size() > kDevices) return bad("a worker needs 1 to 256 devices");
  core::WorkerHello made{hello.worker_uid(), hello.name(),      {},
                         held(hello.held()), hello.restarted(), sentence(hello.unfit())};
  std::set<std::string> names;
  for (const wire::Device& device : hello.devices()) {
    if (!is_name(device.name()) || !names.insert(device.name()).second)
      return bad("device names must differ and not be empty");
    if (device.slots() < 1 || device.slots() > kSlots) return bad("device " + device.name() + " needs 1 to 1024 slots");
    if (device.kind().size() > kName || device.model().size() > kName)
      return bad("device " + device.name() + " has too long texts");
    made.devices.push_back({device.name(), device.kind(), device.threads(), device.slots(), device.model(),
                            device.memory(), device.bf16(), std::min(device.ahead(), kSlots)});
  }
  return made;
}

core::Heartbeat heartbeat_from_wire(const wire::Heartbeat& heartbeat, WorkerNumber worker) {
  return {worker, held(heartbeat.held()), sentence(heartbeat.unfit())};
}

Result<core::ItemReceived> item_from_wire(const wire::Item& item, WorkerNumber worker) {
  core::ItemReceived made{worker, from_wire(item.fence()), item.sequence(), {}};
  switch (item.what_case()) {
    case wire::Item::kStarted: {
      const auto& from = item.started();
      made.what = core::item::Started{from.device(), from.base_sha256(), from.data_sha256(), from.resumed_epoch()};
      return made;
    }
    case wire::Item::kReport:
      made.what = core::item::Report{item.report().epoch(), item.report().step(), item.report().objective()};
      return made;
    case wire::Item::kCheckpoint: {
      FATHOM_ASSIGN(core::Checkpoint checkpoint, checkpoint_from_wire(item.checkpoint()));
      made.what = std::move(checkpoint);
      return made;
    }
    case wire::Item::kFinished: {
      FATHOM_ASSIGN(auto files, files_from_wire(item.finished()));
      made.what = core::item::Finished{item.finished().result(), std::move(files)};
      return made;
    }
    case wire::Item::kFailed: {
      const auto& from = item.failed();
      made.what = core::item::Failed{from.error_class(), from.message(), from.step(), from.alone(), from.watchdog()};
      return made;
    }
    case wire::Item::kStopped: {
      const auto& from = item.stopped();
      FATHOM_ASSIGN(auto files, files_from_wire(from));
      made.what = core::item::Stopped{from.epoch(), from.step(), from.result(), std::move(files)};
      return made;
    }
    case wire::Item::WHAT_NOT_SET:
      break;
  }
  return bad("an item says nothing");
}

store::MetricBatch metrics_from_wire(const wire::MetricBatch& batch) {
  const Fence fence = from_wire(batch.fence());
  store::MetricBatch made{fence.job, fence.generation, fence.attempt, batch.first_sequence(), {}};
  made.points.reserve(static_cast<std::size_t>(batch.points_size()));
  for (const wire::MetricPoint& point : batch.points()) {
    made.points.push_back({point.name().substr(0, kName), point.step(), point.value(), point.wall_ms(), point.depth()});
  }
  return made;
}

std::vector<core::File> files_of(const core::Item& item) {
  if (const auto* checkpoint = std::get_if<core::Checkpoint>(&item)) return {checkpoint->file};
  if (const auto* finished = std::get_if<core::item::Finished>(&item)) return finished->files;
  if (const auto* stopped = std::get_if<core::item::Stopped>(&item)) return stopped->files;
  return {};
}

void fill_envelope(const core::SendAssign& assign, wire::Envelope& envelope) {
  wire::Assign& out = *envelope.mutable_assign();
  *out.mutable_fence() = to_wire(assign.fence);
  out.set_job_id(assign.job_id);
  out.set_device(assign.device);
  out.set_settings(assign.settings);
  out.set_inputs(assign.inputs);
  for (const core::File& file : assign.fetch) set_file(file, *out.add_fetch());
  if (assign.resume) set_checkpoint(*assign.resume, *out.mutable_resume());
  if (assign.resume_older) set_checkpoint(*assign.resume_older, *out.mutable_resume_older());
  for (const core::Checkpoint& earlier : assign.resume_earlier) set_checkpoint(earlier, *out.add_resume_earlier());
  out.set_alone(assign.alone);
}

void fill_envelope(const core::SendStop& stop, wire::Envelope& envelope) {
  *envelope.mutable_stop()->mutable_fence() = to_wire(stop.fence);
  envelope.mutable_stop()->set_cause(stop.cause);
}

void fill_envelope(const core::SendAck& ack, wire::Envelope& envelope) {
  wire::ItemAck& out = *envelope.mutable_item_ack();
  out.set_job(ack.fence.job.value());
  out.set_generation(ack.fence.generation);
  out.set_attempt(ack.fence.attempt);
  out.set_sequence(ack.sequence);
  out.set_late(ack.late);
}

}  // namespace fathom::api
