#include "coordinator/store/sweep_shelf.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <map>

#include "common/descriptor.hpp"
#include "common/files.hpp"
#include "coordinator/core/core.hpp"

namespace fathom::store {
namespace {

constexpr const char* kName = "the file of ended sweeps";

// Bytes one after the other. What is dropped becomes a hole, so that the disk has it back.
class SweepShelf : public core::Shelf {
 public:
  SweepShelf(int file, EventStore& events) : file_(file), events_(events) {}

  Result<std::uint64_t> put(std::string_view bytes) override {
    const std::uint64_t place = end_;
    for (std::size_t done = 0; done < bytes.size();) {
      const ssize_t wrote =
          ::pwrite(file_.get(), bytes.data() + done, bytes.size() - done, static_cast<off_t>(place + done));
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote <= 0) return system_error(errno, "writing", kName);
      done += static_cast<std::size_t>(wrote);
    }
    end_ += bytes.size();
    lengths_.emplace(place, bytes.size());
    return place;
  }

  Result<std::string> get(std::uint64_t place) override {
    const auto known = lengths_.find(place);
    if (known == lengths_.end()) return Error{Errc::not_found, "nothing is there"};
    std::string bytes(known->second, '\0');
    for (std::size_t done = 0; done < bytes.size();) {
      const ssize_t read =
          ::pread(file_.get(), bytes.data() + done, bytes.size() - done, static_cast<off_t>(place + done));
      if (read < 0 && errno == EINTR) continue;
      if (read <= 0) return system_error(read == 0 ? EIO : errno, "reading", kName);
      done += static_cast<std::size_t>(read);
    }
    return bytes;
  }

  void drop(std::uint64_t place) override {
    const auto known = lengths_.find(place);
    if (known == lengths_.end()) return;
    // Where holes are not known the disk has it back at the end.
    (void)::fallocate(file_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(place),
                      static_cast<off_t>(known->second));
    lengths_.erase(known);
  }

  Result<core::PlanPtr> plan(std::uint64_t submitted) override { return plan_of(events_, submitted); }
  bool has_plan(std::uint64_t submitted) const override {
    return submitted != 0 && submitted <= events_.last_durable();
  }

 private:
  Descriptor file_;
  EventStore& events_;
  std::uint64_t end_ = 0;
  std::map<std::uint64_t, std::uint64_t> lengths_;  // by place
};

int open_without_name(const std::filesystem::path& folder) {
  if (folder.empty()) return ::memfd_create("fathom-sweeps", MFD_CLOEXEC);
  const int file = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (file >= 0 || (errno != EOPNOTSUPP && errno != EISDIR)) return file;
  std::string name = (folder / "ended-XXXXXX").string();
  const int named = ::mkostemp(name.data(), O_CLOEXEC);
  if (named >= 0) ::unlink(name.c_str());
  return named;
}

}  // namespace

Result<core::PlanPtr> plan_of(EventStore& events, std::uint64_t submitted) {
  event::Event event;
  bool found = false;
  FATHOM_TRY(events.read({submitted}, [&](const EventRecord& record) {
    found = event.ParseFromString(record.bytes) && event.has_sweep_submitted();
  }));
  if (!found) return Error{Errc::corrupt, "event " + std::to_string(submitted) + " of the log is no submit"};
  return core::expand_again(event.sweep_submitted());
}

Result<std::shared_ptr<core::Shelf>> open_sweep_shelf(const std::filesystem::path& folder, EventStore& events) {
  const int file = open_without_name(folder);
  if (file < 0) return system_error(errno, "making a file in", folder.string());
  return std::shared_ptr<core::Shelf>(std::make_shared<SweepShelf>(file, events));
}

}  // namespace fathom::store
