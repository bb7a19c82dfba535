// The dashboard's files, built into the program: index.html at "/", everything below "/static/". Made by
// coordinator/api/embed.cmake from coordinator/dashboard and the packaged Chart.js.
// Thread: constants and free functions without state.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "coordinator/api/http/message.hpp"

namespace fathom::api {

struct EmbeddedFile {
  std::string_view path;  // relative to coordinator/dashboard
  std::string_view bytes;
};
// In the order of paths.
std::span<const EmbeddedFile> embedded_files();

// The media type for a file's extension.
std::string media_type(std::string_view path);

// The file as an answer, with an ETag of its content; 304 where the request has it, 404 where there is none.
Answer dashboard_file(const std::string& path, const Request& request);

}  // namespace fathom::api
