#include "worker/sandbox.hpp"

#include <fmt/format.h>
#include <linux/capability.h>
#include <pwd.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <utility>

#include "common/files.hpp"

extern char** environ;

namespace fathom::worker {
namespace {

namespace fs = std::filesystem;

constexpr rlim_t kFiles = 4096;

bool limit(int resource, rlim_t most) noexcept {
  rlimit now{};
  if (::getrlimit(static_cast<__rlimit_resource_t>(resource), &now) != 0) return false;
  now.rlim_cur = std::min(most, now.rlim_max);
  now.rlim_max = now.rlim_cur;
  return ::setrlimit(static_cast<__rlimit_resource_t>(resource), &now) == 0;
}

// The kernel's calls and not the C library's: those stop the other threads first, which the child does not have.
bool become(uid_t uid, gid_t gid, bool read_all) noexcept {
  if (read_all && ::prctl(PR_SET_KEEPCAPS, 1) != 0) return false;
  if (::syscall(SYS_setgroups, 0, nullptr) != 0 || ::syscall(SYS_setresgid, gid, gid, gid) != 0 ||
      ::syscall(SYS_setresuid, uid, uid, uid) != 0) {
    return false;
  }
  if (!read_all) return true;
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const auto bit = std::uint32_t{1} << CAP_DAC_READ_SEARCH;
  const std::array<__user_cap_data_struct, 2> sets{{{bit, bit, bit}, {0, 0, 0}}};
  if (::syscall(SYS_capset, &header, sets.data()) != 0) return false;
  return ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_READ_SEARCH, 0, 0) == 0;
}

// Containers often lack some: a trainer that could read nothing, or not be made another user, would be no trainer.
bool has_capabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> sets{};
  if (::syscall(SYS_capget, &header, sets.data()) != 0) return false;
  constexpr std::array<int, 4> kNeeded = {CAP_CHOWN, CAP_SETUID, CAP_SETGID, CAP_DAC_READ_SEARCH};
  return std::ranges::all_of(kNeeded, [&](int bit) { return (sets[0].permitted >> bit & 1U) != 0; });
}

// Whoever knows the name of something inside may go through the folders above, up to the state folder; listing them
// stays the worker's.
void let_through(const fs::path& folder) {
  std::error_code ignored;
  fs::path above = folder;
  for (int i = 0; i < 3; ++i) {
    above = above.parent_path();
    fs::permissions(above, fs::perms::others_exec, fs::perm_options::add, ignored);
  }
}

Status hand_over(const fs::path& folder, uid_t uid, gid_t gid) {
  if (::lchown(folder.c_str(), uid, gid) == 0) return success();
  return system_error(errno, "giving to the trainer", folder.string());
}

}  // namespace

bool is_passed_on(std::string_view name) {
  static constexpr std::array<std::string_view, 9> kNames = {"PATH", "LANG", "LANGUAGE", "TZ", "LD_LIBRARY_PATH",
                                                             "TERM", "USER", "LOGNAME",  "TMP"};
  // Of our own only what a trainer or a test's trainer reads: others can name tokens and hold addresses.
  static constexpr std::array<std::string_view, 18> kPrefixes = {
      "LC_",  "OMP_",  "MKL_",  "KMP_",  "GOMP_",   "OPENBLAS_",      "OMPI_",        "PMIX_",         "PRTE_",
      "CUDA", "NCCL_", "UBSAN", "ASAN_", "NVIDIA_", "FATHOM_KERNELS", "FATHOM_NOOP_", "FATHOM_CRASH_", "FATHOM_TEST_"};
  return std::ranges::find(kNames, name) != kNames.end() ||
         std::ranges::any_of(kPrefixes, [&](std::string_view prefix) { return name.starts_with(prefix); });
}

Result<Sandbox> Sandbox::make(const std::string& user, std::uint64_t address_space,
                              std::vector<std::string> more_environment) {
  Sandbox made;
  made.address_space = address_space;
  made.more_environment = std::move(more_environment);
  if (user == "none" || (user == "auto" && ::geteuid() != 0)) return made;
  if (::geteuid() != 0) {
    return Error{Errc::invalid_argument, "trainer.user: only a worker that runs as root can start trainers as " + user};
  }
  if (user == "auto" && !has_capabilities()) {
    spdlog::warn(
        "trainers run as root: this container lacks a capability (CHOWN, SETUID, SETGID, DAC_READ_SEARCH) that it "
        "takes "
        "to start them as nobody; grant it, or name a user in trainer.user");
    return made;
  }
  made.switch_user = true;
  made.read_all = user == "auto";
  const std::string name = user == "auto" ? "nobody" : user;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), made.uid);
  if (error == std::errc() && end == name.data() + name.size() && made.uid != 0) {
    made.gid = made.uid;
    return made;
  }
  const passwd* entry = ::getpwnam(name.c_str());
  if (entry == nullptr || entry->pw_uid == 0) {
    return Error{Errc::invalid_argument, fmt::format("trainer.user: there is no user {} that trainers could be", name)};
  }
  made.uid = entry->pw_uid;
  made.gid = entry->pw_gid;
  return made;
}

std::vector<std::string> Sandbox::environment(const fs::path& scratch) const {
  std::vector<std::string> kept;
  if (!scratch.empty()) kept.push_back("HOME=" + scratch.string());
  // Collectives lay sockets there, whose paths have at most 107 bytes.
  if (!scratch.empty() && scratch.string().size() <= 60) kept.push_back("TMPDIR=" + scratch.string());
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::string_view name = text.substr(0, text.find('='));
    const bool asked = std::ranges::find(more_environment, name) != more_environment.end();
    if (is_passed_on(name) || asked) kept.emplace_back(text);
  }
  return kept;
}

Status Sandbox::make_scratch(const fs::path& folder) const {
  std::error_code error;
  fs::remove_all(folder, error);
  if (error) return system_error(error.value(), "emptying", folder.string());
  FATHOM_TRY(make_folders(folder.string(), 0700));
  if (!switch_user) return success();
  let_through(folder);
  return hand_over(folder, uid, gid);
}

Status Sandbox::give(const fs::path& folder) const {
  if (!switch_user) return success();
  let_through(folder);
  FATHOM_TRY(hand_over(folder, uid, gid));
  std::error_code error;
  for (fs::recursive_directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    if (entry->is_symlink()) continue;
    if (entry->is_directory()) {
      FATHOM_TRY(hand_over(entry->path(), uid, gid));
    } else {
      fs::permissions(entry->path(), fs::perms::group_read | fs::perms::others_read, fs::perm_options::add, error);
    }
  }
  return error ? Status(system_error(error.value(), "giving to the trainer", folder.string())) : success();
}

bool Sandbox::enter(int keep_low, int keep_high) const noexcept {
  const auto close_between = [](int first, int last) noexcept {
    return first > last || ::syscall(SYS_close_range, first, last, 0) == 0;
  };
  if (!close_between(3, keep_low - 1) || !close_between(keep_low + 1, keep_high - 1) ||
      ::syscall(SYS_close_range, keep_high + 1, ~0U, 0) != 0) {
    return false;
  }
  if (!limit(RLIMIT_CORE, 0) || !limit(RLIMIT_NOFILE, kFiles)) return false;
  if (address_space != 0 && !limit(RLIMIT_AS, address_space)) return false;
  ::umask(077);
  if (switch_user && !become(uid, gid, read_all)) return false;
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

}  // namespace fathom::worker
