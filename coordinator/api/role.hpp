// What a token allows. Thread: plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace fathom::api {

// Each may do everything that the ones before it may.
enum class Role : std::uint8_t {
  viewer,     // look at everything that sweeps and jobs show
  submitter,  // submit and cancel
  admin,      // tokens, the log
};
const char* name_of(Role role);
std::optional<Role> role_of(std::string_view name);

}  // namespace fathom::api
