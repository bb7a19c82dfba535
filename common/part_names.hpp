// Names that become keys of the modules of AdapterHub's library: tasks, adapters, heads.
#pragma once

#include <string>

#include "common/result.hpp"

namespace fathom {

// Error if the library could not hold a part of that name: empty, longer than 200 bytes, with a dot, slash, quote or
// control character (keys and folders are made of it), or the name of an attribute of torch's ModuleDict ("double",
// "type", "train"…), which refuses such keys. `kind` is "adapter" or "head", for the text.
Status check_part_name(const std::string& kind, const std::string& name);

}  // namespace fathom
