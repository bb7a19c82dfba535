// How the cores of this machine are best shared among trainers: several with few threads each, or one with all of them.
// Measured, since it depends on the machine: small steps lose time where threads meet, several trainers where
// they share memory and caches.
#pragma once

#include <cstdint>
#include <vector>

namespace fathom::trainer {

struct Split {
  int trainers = 1;
  int threads = 1;        // of each
  double rows_per_s = 0;  // of all together
};

// Every way to share `cores` evenly among at most `most` trainers, without a thread more than there are cores.
std::vector<Split> even_splits(int cores, int most);

// Trains an adapter on a small drawn model under each split, for `seconds` each after a warm-up; the fastest first.
// Changes the calling thread's number of threads: for a process that only measures.
std::vector<Split> measure_splits(std::vector<Split> splits, double seconds);

}  // namespace fathom::trainer
