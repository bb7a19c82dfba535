#include "trainer/parallel/mpi_gang.hpp"

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <iostream>
#include <stdexcept>
#include <thread>

#include "trainer/gpu/gpu_module.hpp"
#include "trainer/mpi/mpi_module.hpp"
#include "trainer/parallel/module.hpp"

namespace fathom::trainer {
namespace {

// Time that rank 0 gets to say why the job fails, before another rank that failed ends the gang.
constexpr std::chrono::seconds kLastWords(5);

class MpiGang final : public Gang {
 public:
  explicit MpiGang(const MpiEntry& mpi) : mpi_(mpi), rank_(mpi.rank()), size_(mpi.size()) {}
  ~MpiGang() override {
    // A rank that leaves by an exception must not wait for the others to come to an end.
    if (std::uncaught_exceptions() > 0) abandon();
    if (communicator_ != nullptr) gpu_->nccl_close(communicator_);
    mpi_.finish();
  }
  MpiGang(const MpiGang&) = delete;
  MpiGang& operator=(const MpiGang&) = delete;

  [[nodiscard]] int rank() const override { return rank_; }
  [[nodiscard]] int size() const override { return size_; }

  // Gradients then stay on the GPU. Every rank calls it.
  std::string use_gpu(int device) {
    std::string error;
    gpu_ = open_gpu_module(&error);
    NcclId id{};
    if (gpu_ != nullptr && leads()) error = gpu_->nccl_id(&id);
    share(id.data(), id.size());
    if (error.empty()) error = gpu_->nccl_open(id, rank_, size_, device, &communicator_);
    return error;
  }

  void sum(const at::Tensor& values) override {
    if (values.is_cuda()) {
      const auto failure = gpu_->nccl_sum(communicator_, values);
      return check(failure.empty() ? nullptr : failure.c_str());
    }
    const auto count = static_cast<std::size_t>(values.numel());
    check(values.scalar_type() == at::kDouble ? mpi_.sum_doubles(values.mutable_data_ptr<double>(), count)
                                              : mpi_.sum_floats(values.mutable_data_ptr<float>(), count));
  }

  void share(void* bytes, std::size_t size) override { check(mpi_.share(bytes, size)); }

  [[noreturn]] void abandon() override {
    // Rank 0 ends this process with its own abandon(), if it fails too.
    if (!leads()) std::this_thread::sleep_for(kLastWords);
    mpi_.abort(1);
    std::_Exit(1);
  }

 private:
  static void check(const char* failure) {
    if (failure != nullptr) throw std::runtime_error(std::string("between ranks: ") + failure);
  }

  const MpiEntry& mpi_;
  const int rank_;
  const int size_;
  const GpuEntry* gpu_ = nullptr;
  void* communicator_ = nullptr;
};

int number_in_environment(const char* name) {
  const char* text = std::getenv(name);
  return text == nullptr ? 0 : std::atoi(text);
}

}  // namespace

int ranks_of_mpirun() { return number_in_environment("OMPI_COMM_WORLD_SIZE"); }
int rank_of_mpirun() { return number_in_environment("OMPI_COMM_WORLD_RANK"); }

Result<std::shared_ptr<Gang>> join_mpirun(const std::string& device) {
  if (ranks_of_mpirun() <= 1) return std::shared_ptr<Gang>(&alone(), [](Gang*) {});
  std::string error;
  const auto* mpi = open_table<MpiEntry>("fathom_mpi", "fathom_mpi_entry", kMpiAbi, &error);
  if (mpi == nullptr) return Error{Errc::unsupported, "ranks need MPI: " + error};
  // A rank whose mpirun was killed has nobody left to end it.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (const char* failure = mpi->start()) return Error{Errc::unsupported, std::string("MPI: ") + failure};
  const auto gang = std::make_shared<MpiGang>(*mpi);
  if (device.starts_with("cuda:")) {
    if (const auto failure = gang->use_gpu(std::stoi(device.substr(5))); !failure.empty()) {
      std::cerr << "fathom-trainer: " << failure << "\n";
      gang->abandon();
    }
  }
  return std::shared_ptr<Gang>(gang);
}

std::vector<std::string> mpirun_command(int ranks, const std::string& program,
                                        const std::vector<std::string>& arguments) {
  std::vector<std::string> command = {
      "mpirun", "--quiet",
      // In a container everything is root's, and there may be fewer cores than ranks; how many threads a rank has is
      // its own --threads.
      "--allow-run-as-root", "--oversubscribe", "--bind-to", "none",
      // One machine: shared memory, copied without a system call that containers forbid, and no ssh is looked for.
      "--mca", "btl", "self,vader", "--mca", "btl_vader_single_copy_mechanism", "none", "--mca", "plm", "isolated",
      // Ranks that wait leave their core to those that compute.
      "--mca", "mpi_yield_when_idle", "1", "-n", std::to_string(ranks), program};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return command;
}

Error exec_mpirun(int ranks, int argc, char** argv) {
  std::error_code failed;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", failed);
  auto command = mpirun_command(ranks, failed ? argv[0] : self.string(), {argv + 1, argv + argc});
  std::vector<char*> arguments;
  for (auto& text : command) arguments.push_back(text.data());
  arguments.push_back(nullptr);
  ::execvp(arguments[0], arguments.data());
  return {Errc::unsupported,
          std::string("--ranks needs mpirun (Debian's openmpi-bin): ") + std::strerror(errno)};  // NOLINT: one thread
}

}  // namespace fathom::trainer
