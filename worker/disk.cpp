#include "worker/disk.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "common/descriptor.hpp"
#include "common/files.hpp"

namespace fathom::worker {
namespace {

class SystemFile final : public DiskFile {
 public:
  SystemFile(std::string path, int fd, std::uint64_t size) : path_(std::move(path)), fd_(fd), size_(size) {}

  [[nodiscard]] std::uint64_t size() const override { return size_; }

  [[nodiscard]] Status write(std::uint64_t offset, std::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t count = ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return system_error(errno, "writing", path_);
      offset += static_cast<std::uint64_t>(count);
      bytes.remove_prefix(static_cast<std::size_t>(count));
    }
    return success();
  }

  [[nodiscard]] Status truncate(std::uint64_t size) override {
    if (::ftruncate(fd_.get(), static_cast<off_t>(size)) != 0) return system_error(errno, "shortening", path_);
    return success();
  }

  [[nodiscard]] Status sync() override {
    if (::fdatasync(fd_.get()) != 0) return system_error(errno, "syncing", path_);
    return success();
  }

 private:
  const std::string path_;
  const Descriptor fd_;
  const std::uint64_t size_;
};

class SystemDisk final : public Disk {
 public:
  [[nodiscard]] Result<std::unique_ptr<DiskFile>> open(const std::filesystem::path& file) override {
    const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return system_error(errno, "opening", file.string());
    struct stat info {};
    const int failed = ::fstat(fd, &info) != 0 ? errno : 0;
    auto opened = std::make_unique<SystemFile>(file.string(), fd, static_cast<std::uint64_t>(info.st_size));
    if (failed != 0) return system_error(failed, "reading", file.string());
    return std::unique_ptr<DiskFile>(std::move(opened));
  }
  [[nodiscard]] Result<std::string> read(const std::filesystem::path& file, std::uint64_t limit) override {
    return read_file(file.string(), limit);
  }
  [[nodiscard]] Status replace(const std::filesystem::path& file, std::string_view bytes) override {
    return write_file_atomic(file.string(), bytes, 0600);
  }
  void remove(const std::filesystem::path& file) override {
    std::error_code ignored;
    std::filesystem::remove(file, ignored);
  }
  [[nodiscard]] std::vector<std::filesystem::path> list(const std::filesystem::path& folder) override {
    std::vector<std::filesystem::path> files;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(folder, error)) files.push_back(entry.path());
    return files;
  }
  [[nodiscard]] Status sync_folder(const std::filesystem::path& folder) override {
    return fathom::sync_folder(folder.string());
  }
};

}  // namespace

Disk& system_disk() {
  static SystemDisk disk;
  return disk;
}

}  // namespace fathom::worker
