#include "worker/machine.hpp"

#include <sys/sysinfo.h>
#include <unistd.h>

#include <array>
#include <fstream>

namespace fathom::worker {
namespace {

std::string cpu_model() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("model name", 0) != 0) continue;
    const auto colon = line.find(": ");
    return colon == std::string::npos ? std::string() : line.substr(colon + 2);
  }
  return {};
}

}  // namespace

Machine describe_machine() {
  Machine machine;
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) == 0) machine.host = name.data();
  machine.cpu_model = cpu_model();
  struct sysinfo info {};
  if (::sysinfo(&info) == 0) machine.memory = static_cast<std::uint64_t>(info.totalram) * info.mem_unit;
#if defined(__x86_64__)
  machine.bf16 = __builtin_cpu_supports("avx512bf16") != 0;
#endif
  return machine;
}

}  // namespace fathom::worker
