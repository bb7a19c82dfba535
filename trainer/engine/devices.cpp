#include "trainer/engine/devices.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <ostream>
#include <sstream>
#include <thread>

#include "trainer/engine/split.hpp"
#include "trainer/gpu/gpu_module.hpp"
#include "trainer/packed/kernels.hpp"

namespace fathom::trainer {
namespace {

using nlohmann::json;

// Each trainer holds a base of its own.
constexpr int kMostTrainers = 8;
constexpr double kSplitSeconds = 0.2;

std::string cpu_model() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const auto colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "CPU";
}

json cpu() {
  const auto memory =
      static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  return {{"name", "cpu"},        {"kind", "cpu"},    {"threads", std::thread::hardware_concurrency()},
          {"model", cpu_model()}, {"memory", memory}, {"bf16", packed::products_of(Precision::bf16).run != nullptr}};
}

// Appends the GPUs; returns why there are none, or an empty text.
std::string append_gpus(json& devices) {
  std::string error;
  const auto* module = open_gpu_module(&error);
  if (!module) return error;
  for (const auto& gpu : module->devices(&error)) {
    devices.push_back({{"name", gpu.name},
                       {"kind", "cuda"},
                       {"threads", 0},
                       {"model", gpu.model},
                       {"memory", gpu.memory},
                       {"bf16", true},
                       {"compute", fmt::format("{}.{}", gpu.major, gpu.minor)}});
  }
  return error;
}

}  // namespace

Status require_device(const std::string& device) {
  if (device == "cpu") return success();
  std::string error;
  const auto* module = open_gpu_module(&error);
  if (module != nullptr) {
    const auto found = module->devices(&error);
    const auto same = [&](const GpuDevice& gpu) { return gpu.name == device; };
    if (std::ranges::any_of(found, same)) return success();
    if (error.empty()) error = fmt::format("this machine has {} GPUs", found.size());
  }
  return Error{Errc::unsupported, device + " is not there: " + error};
}

std::string device_of_rank(const std::string& devices, int rank) {
  std::vector<std::string> names;
  std::istringstream text(devices);
  for (std::string name; std::getline(text, name, ',');) names.push_back(name);
  return names.empty() ? devices : names[static_cast<std::size_t>(rank) % names.size()];
}

int print_devices(bool as_json, bool measure, std::ostream& out) {
  json devices = json::array({cpu()});
  const auto note = append_gpus(devices);
  json object = {{"devices", devices}, {"note", note}};
  if (measure && devices.size() == 1) {
    const int cores = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
    for (const auto& split : measure_splits(even_splits(cores, kMostTrainers), kSplitSeconds))
      object["splits"].push_back(
          {{"trainers", split.trainers}, {"threads", split.threads}, {"rows_per_s", split.rows_per_s}});
  }
  if (as_json) {
    out << object.dump() << "\n";
    return 0;
  }
  for (const auto& split : object.value("splits", json::array()))
    out << fmt::format("{} trainers of {} threads\t{:.0f} rows/s\n", split["trainers"].get<int>(),
                       split["threads"].get<int>(), split["rows_per_s"].get<double>());
  for (const auto& device : devices) {
    out << fmt::format("{}\t{}\t{:.1f} GiB\n", device["name"].get<std::string>(), device["model"].get<std::string>(),
                       device["memory"].get<double>() / (1ULL << 30));
  }
  if (!note.empty()) out << "no GPU: " << note << "\n";
  return 0;
}

}  // namespace fathom::trainer
