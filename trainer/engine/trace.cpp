#include "trainer/engine/trace.hpp"

#include <cerrno>

#include <nlohmann/json.hpp>

#include "common/files.hpp"

namespace fathom::trainer {

Status Trace::open(const std::filesystem::path& file) {
  file_ = file;
  out_.open(file, std::ios::trunc);
  if (!out_) return system_error(errno, "open", file.string());
  return success();
}

void Trace::write(const StepRecord& record) {
  if (!out_.is_open()) return;
  nlohmann::ordered_json line = {{"step", record.step}, {"epoch", record.epoch},         {"loss", record.loss},
                                 {"lr", record.lr},     {"grad_norm", record.grad_norm}, {"n", nullptr}};
  if (record.drawn_depth) line["n"] = *record.drawn_depth;
  if (record.reg_loss) line["reg_loss"] = *record.reg_loss;
  // Whole lines at once: a run that is ended leaves a file that can be read.
  out_ << line.dump() << "\n" << std::flush;
}

Status Trace::close() {
  if (!out_.is_open()) return success();
  out_.close();
  if (!out_)
    return Error{Errc::resource_exhausted, file_.string() + ": the trace could not be written; is the disk full?"};
  return success();
}

}  // namespace fathom::trainer
