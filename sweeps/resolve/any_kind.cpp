// A stage of a kind that nobody knows: its keys may be those of any.
#include "sweeps/resolve/stages.hpp"

namespace fathom::sweeps {

void check_any_kind(const Node& stage, const Surroundings& around, const std::vector<EarlierStage>& earlier,
                    Report& report) {
  const Fields fields(Section::stage, &stage, report, kAnyKind, false);
  Fields(Section::train, fields.node("train"), report);
  Fields(Section::adapter, fields.node("adapter"), report);
  Fields(Section::stop, fields.node("stop"), report);
  Fields(Section::shape, fields.node("shape"), report);
  parse_parameters(fields.node("parameters"), report);
  read_search(fields.node("search"), report);
  parse_drops(fields.node("drop"), report);
  parse_exclude(fields.node("exclude"), *around.tasks, report);
  parse_sets(fields, *around.tasks, report);
  parse_source(fields, kAnyKind, earlier, *around.tasks, report);
  if (fields.given("needs")) parse_needs(fields, earlier, *around.tasks, around.seeds, report);
  if (fields.given("subjects")) parse_benchmark(fields, around.adapter, earlier, *around.tasks, report);
}

}  // namespace fathom::sweeps
