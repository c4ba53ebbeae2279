# Language level, warnings, sanitizers and the libraries that Inlay stands on.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 99)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

add_library(inlay_settings INTERFACE)
# -ffp-contract=off: a fused multiply-add happens where the code says fma, never where a compiler likes it, so that
# every instruction set and compiler computes the same bits.
target_compile_options(inlay_settings INTERFACE -Wall -Wextra -ffp-contract=off $<$<BOOL:${INLAY_WERROR}>:-Werror>)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # GCC 12 sees overlapping memcpy in "literal" + std::string&& that is not there (its bug 105651, mended in 13).
  target_compile_options(inlay_settings INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict>)
endif()
if(INLAY_SANITIZE)
  string(REPLACE ";" "," INLAY_SANITIZE_LIST "${INLAY_SANITIZE}")
  target_compile_options(inlay_settings INTERFACE -fsanitize=${INLAY_SANITIZE_LIST} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(inlay_settings INTERFACE -fsanitize=${INLAY_SANITIZE_LIST})
  find_program(INLAY_LLD ld.lld)
  if(INLAY_LLD AND CMAKE_CXX_COMPILER_ID MATCHES Clang AND NOT APPLE)
    target_link_options(inlay_settings INTERFACE -fuse-ld=lld)  # a fifth of binutils' time for programs of 100 MB
  endif()
endif()
if(INLAY_FUZZERS)
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES Clang)
    message(FATAL_ERROR "INLAY_FUZZERS needs clang with its libFuzzer runtime (Debian: clang, libclang-rt-14-dev). Configure with `cmake --preset asan`.")
  endif()
  set(INLAY_COVERAGE -fsanitize=fuzzer-no-link)  # for the rooms that bytes from outside reach
endif()

find_package(Threads REQUIRED)
find_package(simdjson REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
# Snowball has no CMake or pkg-config file of its own.
find_path(STEMMER_INCLUDE_DIR libstemmer.h REQUIRED)
find_library(STEMMER_LIBRARY stemmer REQUIRED)
add_library(Stemmer::stemmer UNKNOWN IMPORTED)
set_target_properties(Stemmer::stemmer PROPERTIES IMPORTED_LOCATION "${STEMMER_LIBRARY}" INTERFACE_INCLUDE_DIRECTORIES "${STEMMER_INCLUDE_DIR}")
