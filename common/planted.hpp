// Known bugs, for the simulation to find (docs/reliability.md "Simulation"). The programs have none: there planted() is
// false at compile time. Only fathom_sim_planted builds the few files that ask with FATHOM_PLANTED_BUGS.
// Thread: plant() before anything else runs.
#pragma once

#include <string_view>

namespace fathom {

enum class PlantedBug {
  none,
  skip_fence,   // items of an attempt that lost its lease are taken for the living one's
  early_ack,    // answers leave before their events are durable
  double_rung,  // an entry of a rung is counted twice, again as that of the next setting
};

#ifdef FATHOM_PLANTED_BUGS
inline PlantedBug planted_bug = PlantedBug::none;
inline bool planted(PlantedBug bug) { return planted_bug == bug; }
#else
constexpr bool planted(PlantedBug) { return false; }
#endif

}  // namespace fathom
