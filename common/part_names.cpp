#include "common/part_names.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace fathom {
namespace {

// clang-format off
// dir(torch.nn.ModuleDict()) of torch 2.11 without the names that start with an underscore; sorted.
constexpr std::array<std::string_view, 60> kAttributes = {
    "T_destination", "add_module", "apply", "bfloat16", "buffers", "call_super_init", "children", "clear", "compile",
    "cpu", "cuda", "double", "dump_patches", "eval", "extra_repr", "float", "forward", "get_buffer",
    "get_extra_state", "get_parameter", "get_submodule", "half", "ipu", "items", "keys", "load_state_dict", "modules",
    "mtia", "named_buffers", "named_children", "named_modules", "named_parameters", "parameters", "pop",
    "register_backward_hook", "register_buffer", "register_forward_hook", "register_forward_pre_hook",
    "register_full_backward_hook", "register_full_backward_pre_hook", "register_load_state_dict_post_hook",
    "register_load_state_dict_pre_hook", "register_module", "register_parameter", "register_state_dict_post_hook",
    "register_state_dict_pre_hook", "requires_grad_", "set_extra_state", "set_submodule", "share_memory",
    "state_dict", "to", "to_empty", "train", "training", "type", "update", "values", "xpu", "zero_grad",
};
// clang-format on

}  // namespace

Status check_part_name(const std::string& kind, const std::string& name) {
  const auto wrong = [&](const char* why) {
    return Error{Errc::invalid_argument,
                 "\"" + name + "\" cannot name " + (kind == "adapter" ? "an " : "a ") + kind + ": " + why};
  };
  if (name.empty() || name.size() > 200) return wrong("1 to 200 characters are needed");
  const bool control = std::any_of(name.begin(), name.end(), [](unsigned char c) { return c < 0x20; });
  if (control || name.find_first_of("./\\\"") != std::string::npos)
    return wrong("no dots, slashes, quotes or line ends");
  if (name.front() == '_') return wrong("it must not start with an underscore");
  if (std::find(kAttributes.begin(), kAttributes.end(), name) != kAttributes.end()) {
    return wrong("torch's modules have an attribute of that name, so the adapters library could not load it");
  }
  return success();
}

}  // namespace fathom
