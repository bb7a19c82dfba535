// How a job fails: a class that the coordinator branches on (retry or not) and one sentence for a person.
#pragma once

#include <exception>
#include <stdexcept>
#include <string>

#include "common/result.hpp"

namespace fathom::trainer {

// Failed.error_class of wire.proto. config: the settings ask for what cannot be; data, model: files are missing or
// broken; oom: memory; diverged: NaN or Inf; disk: writing failed; internal: a bug of ours.
enum class ErrorClass { config, data, model, oom, diverged, disk, internal };
const char* name_of(ErrorClass error_class);

// Thrown anywhere below a job's advance(); ends that job only.
class JobError : public std::runtime_error {
 public:
  JobError(ErrorClass error_class, const std::string& message) : runtime_error(message), class_(error_class) {}
  [[nodiscard]] ErrorClass error_class() const { return class_; }

 private:
  ErrorClass class_;
};

struct Failure {
  ErrorClass error_class = ErrorClass::internal;
  std::string message;
};

// What to report for an exception that ended a job: JobError as it is, std::bad_alloc and Torch's out-of-memory errors
// as oom, everything else as internal with its text.
Failure failure_of(const std::exception_ptr& exception);

// The value, or a JobError of the given class. A full disk is always `disk`, a path that leaves the root always
// `config`.
[[noreturn]] void fail(ErrorClass error_class, const Error& error);
template <class T>
T value_or_fail(Result<T> result, ErrorClass error_class) {
  if (!result) fail(error_class, result.error());
  return std::move(result).value();
}

}  // namespace fathom::trainer
