#include "common/free_memory.hpp"

#include <malloc.h>

namespace fathom {

void return_free_memory() { ::malloc_trim(0); }

}  // namespace fathom
