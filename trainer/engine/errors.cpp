#include "trainer/engine/errors.hpp"

#include <new>

#include <c10/util/Exception.h>

namespace fathom::trainer {
namespace {

// Torch's CPU allocator throws a plain c10::Error; only its text tells what happened.
bool tells_of_memory(const std::string& text) {
  return text.find("can't allocate memory") != std::string::npos ||
         text.find("not enough memory") != std::string::npos || text.find("out of memory") != std::string::npos;
}

Failure out_of_memory(const std::string& detail) {
  return {ErrorClass::oom,
          "out of memory: " + detail + "; use a smaller train.batch or train.max_length, or a device with more memory"};
}

// The first line of a c10 error: the rest is a stack trace for its developers.
std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

}  // namespace

const char* name_of(ErrorClass error_class) {
  switch (error_class) {
    case ErrorClass::config:
      return "config";
    case ErrorClass::data:
      return "data";
    case ErrorClass::model:
      return "model";
    case ErrorClass::oom:
      return "oom";
    case ErrorClass::diverged:
      return "diverged";
    case ErrorClass::disk:
      return "disk";
    case ErrorClass::internal:
      return "internal";
  }
  return "internal";
}

Failure failure_of(const std::exception_ptr& exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const JobError& error) {
    return {error.error_class(), error.what()};
  } catch (const std::bad_alloc&) {
    return out_of_memory("the system has no memory left");
  } catch (const c10::OutOfMemoryError& error) {
    return out_of_memory(first_line(error.what_without_backtrace()));
  } catch (const c10::Error& error) {
    const std::string text = first_line(error.what_without_backtrace());
    return tells_of_memory(text) ? out_of_memory(text) : Failure{ErrorClass::internal, text};
  } catch (const std::exception& error) {
    return {ErrorClass::internal, error.what()};
  } catch (...) {
    return {ErrorClass::internal, "an exception of unknown type"};
  }
}

void fail(ErrorClass error_class, const Error& error) {
  if (error.code == Errc::resource_exhausted) error_class = ErrorClass::disk;
  if (error.code == Errc::permission_denied) error_class = ErrorClass::config;
  throw JobError(error_class, error.message);
}

}  // namespace fathom::trainer
