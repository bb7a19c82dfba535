#include "common/log.hpp"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace fathom {

Status init_log(const LogOptions& options) {
  const auto level = spdlog::level::from_str(options.level);
  if (level == spdlog::level::off && options.level != "off")
    return Error{Errc::invalid_argument,
                 "log level '" + options.level + "' is unknown; use trace, debug, info, warn or error"};
  spdlog::sink_ptr sink;
  try {
    if (options.file.empty())
      sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    else
      sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(options.file, false);
  } catch (const spdlog::spdlog_ex& error) {
    return Error{Errc::internal, "cannot open the log file " + options.file + ": " + error.what()};
  }
  auto logger = std::make_shared<spdlog::logger>(options.program, std::move(sink));
  logger->set_level(level);
  logger->flush_on(spdlog::level::info);
  logger->set_pattern(options.json ? R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l","program":"%n","text":"%v"})"
                                   : "time=%Y-%m-%dT%H:%M:%S.%eZ level=%l program=%n %v",
                      spdlog::pattern_time_type::utc);
  spdlog::set_default_logger(std::move(logger));
  return success();
}

}  // namespace fathom
