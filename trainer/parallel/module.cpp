#include "trainer/parallel/module.hpp"

#include <dlfcn.h>

#include <filesystem>

namespace fathom::trainer {

const void* open_module(const std::string& name, const char* entry, std::string* error) {
  std::error_code failed;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", failed);
  const std::string path = (program.parent_path() / ("lib" + name + ".so")).string();
  if (failed || !std::filesystem::exists(path, failed)) {
    *error = "the module " + path + " is not there";
    return nullptr;
  }
  void* module = ::dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (module == nullptr) {
    *error = ::dlerror();
    return nullptr;
  }
  const void* symbol = ::dlsym(module, entry);
  if (symbol == nullptr) *error = path + " is not a module of fathom-trainer";
  return symbol;
}

}  // namespace fathom::trainer
