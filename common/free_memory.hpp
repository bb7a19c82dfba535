// Thread: from any; it holds the allocator's locks for some milliseconds, so not from one that others wait for.
// Failure: none.
#pragma once

namespace fathom {

// Gives the system back what the allocator keeps of memory that was freed. For after work that needed much for a short
// time: without it the process stays as large as it was once.
void return_free_memory();

}  // namespace fathom
