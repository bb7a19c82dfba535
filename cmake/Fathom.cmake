# Compile settings for all of Fathom, and the functions that make its libraries, programs and tests.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O2")  # assertions stay on: a wrong state must stop, not spread
set(CMAKE_CXX_FLAGS_DEBUG "-O0 -g1 -fno-omit-frame-pointer")

find_program(FATHOM_CCACHE ccache)
if(FATHOM_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER "${FATHOM_CCACHE}")
endif()
find_program(FATHOM_MOLD mold)
if(FATHOM_MOLD)
  add_link_options(-fuse-ld=mold)
endif()
if(FATHOM_SANITIZE)
  add_compile_options(-fsanitize=${FATHOM_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${FATHOM_SANITIZE})
endif()

if(FATHOM_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)  # coverage in the libraries, not only in the target's own file
endif()

# Warnings are errors in our own code. GCC 12 reports false positives inside inlined standard code for the three that are off.
add_library(fathom_warnings INTERFACE)
target_compile_options(fathom_warnings INTERFACE -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Werror
  $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized -Wno-stringop-overflow -Wno-restrict>
  $<$<CXX_COMPILER_ID:Clang>:-Wno-error>)

# fathom_library(NAME [DEPS target...] [EXCLUDE regex...] [SOURCES file...])
# A static library of every *.cpp in the calling folder (not below it, unless RECURSE). Links with exactly DEPS; the
# target link_NAME links the whole library alone with them, so that a use of anything undeclared fails the build.
function(fathom_library name)
  cmake_parse_arguments(A "RECURSE" "" "DEPS;EXCLUDE;SOURCES" ${ARGN})
  if(A_SOURCES)
    set(sources ${A_SOURCES})
  elseif(A_RECURSE)
    file(GLOB_RECURSE sources CONFIGURE_DEPENDS "*.cpp")
  else()
    file(GLOB sources CONFIGURE_DEPENDS "*.cpp")
  endif()
  list(FILTER sources EXCLUDE REGEX "/main\\.cpp$")
  foreach(pattern IN LISTS A_EXCLUDE)
    list(FILTER sources EXCLUDE REGEX "${pattern}")
  endforeach()
  add_library(${name} STATIC ${sources} "${CMAKE_SOURCE_DIR}/cmake/anchor.cpp")
  target_include_directories(${name} PUBLIC "${CMAKE_SOURCE_DIR}" "${CMAKE_BINARY_DIR}/generated")
  target_link_libraries(${name} PUBLIC ${A_DEPS} PRIVATE fathom_warnings)
  fathom_link_test(${name} ${A_DEPS})
endfunction()

add_custom_target(link_tests)
function(fathom_link_test name)
  add_executable(link_${name} EXCLUDE_FROM_ALL "${CMAKE_SOURCE_DIR}/cmake/link_main.cpp")
  set_target_properties(link_${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/link")
  target_link_libraries(link_${name} PRIVATE -Wl,--whole-archive $<TARGET_FILE:${name}> -Wl,--no-whole-archive ${ARGN})
  add_dependencies(link_${name} ${name})
  add_dependencies(link_tests link_${name})
endfunction()

# fathom_program(NAME main.cpp DEPS target...)
function(fathom_program name source)
  cmake_parse_arguments(A "" "" "DEPS" ${ARGN})
  add_executable(${name} ${source})
  target_compile_definitions(${name} PRIVATE FATHOM_VERSION="${PROJECT_VERSION}")
  target_link_libraries(${name} PRIVATE ${A_DEPS} fathom_warnings)
endfunction()

# fathom_test(AREA DEPS target...): one GoogleTest program unit_AREA of every *.cpp in tests/unit/AREA.
function(fathom_test area)
  cmake_parse_arguments(A "" "" "DEPS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/tests/unit/${area}/*.cpp")
  if(NOT sources)
    return()
  endif()
  add_executable(unit_${area} ${sources})
  # Only where they are used: a path in the command line makes the compiler cache useless for a clone elsewhere.
  foreach(source IN LISTS sources)
    file(STRINGS "${source}" uses REGEX "FATHOM_(SOURCE|BIN)_DIR" LIMIT_COUNT 1)
    if(uses)
      set_property(SOURCE "${source}" APPEND PROPERTY COMPILE_DEFINITIONS
        FATHOM_SOURCE_DIR="${CMAKE_SOURCE_DIR}" FATHOM_BIN_DIR="${CMAKE_BINARY_DIR}/bin")
    endif()
  endforeach()
  target_compile_options(unit_${area} PRIVATE -O0)  # assertions are not worth the optimiser's time; the libraries stay as they ship
  target_link_libraries(unit_${area} PRIVATE ${A_DEPS} GTest::gtest_main GTest::gmock fathom_warnings)
  set_property(GLOBAL APPEND PROPERTY FATHOM_UNIT_TESTS unit_${area})
endfunction()
