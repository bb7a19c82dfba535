// Names the calling thread for `top -H`, perf and core dumps; 15 characters are kept. Thread: any.
#pragma once

#include <pthread.h>

#include <string>

namespace fathom {

inline void name_thread(const std::string& name) { pthread_setname_np(pthread_self(), name.substr(0, 15).c_str()); }

}  // namespace fathom
