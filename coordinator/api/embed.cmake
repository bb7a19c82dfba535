# fathom_embed(OUTPUT_VARIABLE FOLDER NAME=FILE...): a source that holds every file below FOLDER, and the named extra
# files, as constants. The assembler's .incbin reads the bytes: a big script costs no compile time.
function(fathom_embed variable folder)
  file(GLOB_RECURSE files CONFIGURE_DEPENDS RELATIVE "${folder}" "${folder}/*")
  set(names "")
  foreach(file IN LISTS files)
    list(APPEND names "${file}=${folder}/${file}")
  endforeach()
  list(APPEND names ${ARGN})
  list(SORT names)
  set(data "")
  set(table "")
  set(inputs "")
  set(i 0)
  foreach(pair IN LISTS names)
    string(FIND "${pair}" "=" at)
    string(SUBSTRING "${pair}" 0 ${at} name)
    math(EXPR at "${at} + 1")
    string(SUBSTRING "${pair}" ${at} -1 path)
    list(APPEND inputs "${path}")
    string(APPEND data "asm(\".section .rodata\\n.global fathom_file_${i}\\nfathom_file_${i}:\\n.incbin \\\"${path}\\\"\\n\"
    \".global fathom_file_${i}_end\\nfathom_file_${i}_end:\\n.byte 0\\n.previous\\n\");
extern \"C\" const char fathom_file_${i}[];
extern \"C\" const char fathom_file_${i}_end[];\n")
    string(APPEND table "    {\"${name}\", std::string_view(fathom_file_${i}, static_cast<std::size_t>(fathom_file_${i}_end - fathom_file_${i}))},\n")
    math(EXPR i "${i} + 1")
  endforeach()
  set(source "${CMAKE_BINARY_DIR}/generated/coordinator/api/embedded_files.cpp")
  file(CONFIGURE OUTPUT "${source}" CONTENT "// Made by coordinator/api/embed.cmake.
#include <array>
#include \"coordinator/api/dashboard.hpp\"
@data@
namespace fathom::api {
std::span<const EmbeddedFile> embedded_files() {
  static const std::array<EmbeddedFile, ${i}> files{{
@table@  }};
  return files;
}
}  // namespace fathom::api
" @ONLY)
  set_source_files_properties("${source}" PROPERTIES OBJECT_DEPENDS "${inputs}")
  set(${variable} "${source}" PARENT_SCOPE)
endfunction()
