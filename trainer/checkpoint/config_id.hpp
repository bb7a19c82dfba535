// The names that AdapterHub gives to configurations. Thread: free function without state.
#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

namespace fathom::trainer {

// `config_id` of an adapter's or a fusion's "config" object, as adapters.utils.get_adapter_config_hash computes it: the
// first 16 hex digits of the SHA-1 over Python's JSON text of what differs from nothing. Empty and false values do not
// count, nor do defaults that came later than the first ids; 16 and 16.0 are two things.
std::string config_id(const nlohmann::json& config);

}  // namespace fathom::trainer
