#include "common/crash_point.hpp"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <string>
#include <string_view>

namespace fathom {
namespace {

struct Wanted {
  std::string point;  // empty: this program is not meant
  std::string once;
  std::atomic<long> left{1};

  Wanted() {
    const char* at = std::getenv("FATHOM_CRASH_AT");
    if (at == nullptr) return;
    const std::string_view text(at);
    const std::size_t program = text.find('@');
    if (program == std::string_view::npos || text.substr(0, program) != program_invocation_short_name) return;
    const std::size_t count = text.find(':', program);
    if (count != std::string_view::npos) left = std::atol(text.data() + count + 1);
    if (const char* file = std::getenv("FATHOM_CRASH_ONCE")) once = file;
    point = text.substr(program + 1, count == std::string_view::npos ? count : count - program - 1);
  }
};

}  // namespace

void crash_point(const char* point) noexcept {
  static Wanted wanted;
  if (wanted.point.empty() || wanted.point != point || wanted.left.fetch_sub(1) != 1) return;
  if (!wanted.once.empty() && ::open(wanted.once.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600) < 0) return;
  ::kill(::getpid(), SIGKILL);
  for (;;) ::pause();  // the signal takes the whole process; no step follows meanwhile
}

}  // namespace fathom
