#include "common/files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "common/crash_point.hpp"
#include "common/descriptor.hpp"

namespace fathom {
namespace {

std::string folder_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

}  // namespace

Error system_error(int number, const std::string& what, const std::string& path) {
  const std::string text = what + " " + path + " failed: " + std::strerror(number);
  if (number == ENOENT) return {Errc::not_found, text};
  if (number == ENOSPC || number == EDQUOT)
    return {Errc::resource_exhausted, text + " (free some space and try again)"};
  if (number == EACCES || number == EPERM) return {Errc::permission_denied, text};
  return {Errc::internal, text};
}

Result<std::string> read_file(const std::string& path, std::uint64_t limit) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return system_error(errno, "opening", path);
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) return system_error(errno, "reading", path);
  if (S_ISDIR(info.st_mode)) return Error{Errc::invalid_argument, path + " is a folder, a file was expected"};
  if (static_cast<std::uint64_t>(info.st_size) > limit)
    return Error{Errc::resource_exhausted, path + " has " + std::to_string(info.st_size) + " bytes, at most " +
                                               std::to_string(limit) + " are allowed"};
  std::string text;
  char chunk[1 << 16];
  for (;;) {
    const ssize_t count = ::read(file.get(), chunk, sizeof chunk);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return system_error(errno, "reading", path);
    if (count == 0) return text;
    text.append(chunk, static_cast<std::size_t>(count));
    if (text.size() > limit)
      return Error{Errc::resource_exhausted, path + " grew beyond " + std::to_string(limit) + " bytes"};
  }
}

Status write_file_atomic(const std::string& path, std::string_view bytes, unsigned mode) {
  std::string temporary = path + ".tmp.XXXXXX";
  const int fd = ::mkostemp(temporary.data(), O_CLOEXEC);
  if (fd < 0) return system_error(errno, "creating", temporary);
  const auto give_up = [&](Error error) -> Status {
    ::unlink(temporary.c_str());
    return error;
  };
  {
    const Descriptor file(fd);
    if (auto written = write_all(fd, bytes, path); !written) return give_up(written.error());
    if (::fchmod(fd, mode) != 0) return give_up(system_error(errno, "setting permissions of", path));
    if (::fsync(fd) != 0) return give_up(system_error(errno, "syncing", path));
  }
  crash_point("file.written");
  if (::rename(temporary.c_str(), path.c_str()) != 0) return give_up(system_error(errno, "renaming to", path));
  crash_point("file.renamed");
  return sync_folder(folder_of(path));
}

Status make_folders(const std::string& path, unsigned mode) {
  if (path.empty()) return success();
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0) {
    if (S_ISDIR(info.st_mode)) return success();
    return Error{Errc::already_exists, path + " exists and is not a folder"};
  }
  const std::string parent = std::filesystem::path(path).parent_path().string();
  if (!parent.empty() && parent != path) FATHOM_TRY(make_folders(parent, mode));
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) return system_error(errno, "creating folder", path);
  return success();
}

Status sync_folder(const std::string& path) {
  const Descriptor folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.get() < 0) return system_error(errno, "opening folder", path);
  if (::fsync(folder.get()) != 0) return system_error(errno, "syncing folder", path);
  return success();
}

Status write_all(int fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return system_error(errno, "writing", path);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return success();
}

Status sync_file(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return system_error(errno, "opening", path);
  if (::fsync(file.get()) != 0) return system_error(errno, "syncing", path);
  return success();
}

}  // namespace fathom
