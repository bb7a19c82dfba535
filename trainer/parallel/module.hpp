// Opens the trainer's module libraries, which stand beside the program.
#pragma once

#include <string>

namespace fathom::trainer {

// The symbol `entry` of libNAME.so beside the running program, or null with the reason in *error. The library is opened
// for all (its symbols serve what it loads in turn) and never closed.
const void* open_module(const std::string& name, const char* entry, std::string* error);

// The same as a table whose first member `abi` must be the given one.
template <class Table>
const Table* open_table(const std::string& name, const char* entry, int abi, std::string* error) {
  const auto* table = static_cast<const Table*>(open_module(name, entry, error));
  if (table == nullptr || table->abi == abi) return table;
  *error = "lib" + name + ".so belongs to another version of fathom-trainer: build both anew";
  return nullptr;
}

}  // namespace fathom::trainer
