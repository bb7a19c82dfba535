// One sweep as bytes: what is put away, and comes back.
#include <cstring>
#include <utility>

#include "coordinator/core/snapshot.hpp"

namespace fathom::core {
namespace {

constexpr std::size_t kLength = sizeof(std::uint32_t);

}  // namespace

void add_framed(const snapshot::Record& record, std::string& out) {
  const auto length = static_cast<std::uint32_t>(record.ByteSizeLong());
  char frame[kLength];
  std::memcpy(frame, &length, kLength);  // bytes that never leave the process
  out.append(frame, kLength);
  record.AppendToString(&out);
}

Status each_framed(std::string_view bytes, const RecordSink& each) {
  snapshot::Record record;
  while (!bytes.empty()) {
    std::uint32_t length = 0;
    if (bytes.size() >= kLength) std::memcpy(&length, bytes.data(), kLength);
    if (bytes.size() < kLength || bytes.size() - kLength < length)
      return Error{Errc::corrupt, "records of a sweep are cut off"};
    if (!record.ParseFromArray(bytes.data() + kLength, static_cast<int>(length)))
      return Error{Errc::corrupt, "a record of a sweep cannot be read"};
    FATHOM_TRY(each(record));
    bytes.remove_prefix(kLength + length);
  }
  return success();
}

std::string bytes_of_sweep(const Sweep& sweep) {
  std::string bytes;
  const auto add = [&](const snapshot::Record& record) -> Status {
    add_framed(record, bytes);
    return success();
  };
  (void)save_sweep(sweep, add);  // the sink never fails
  return bytes;
}

Result<std::unique_ptr<Sweep>> restore_sweep(SweepNumber number, std::string_view bytes, PlanPtr plan) {
  Restorer restorer([&](std::uint64_t) -> Result<PlanPtr> { return plan; }, number);
  FATHOM_TRY(each_framed(bytes, [&](const snapshot::Record& record) { return restorer.take(record); }));
  return restorer.finish_sweep();
}

}  // namespace fathom::core
