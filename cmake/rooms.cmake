# A room is a static library made of one folder of src/. The libraries that it may use are its arrows in
# src/README.md; tools/check_layers.py checks the includes themselves.

# inlay_room(NAME SOURCES a.cc b.cc USES inlay_base ...)
function(inlay_room name)
  cmake_parse_arguments(ROOM "" "" "SOURCES;USES" ${ARGN})
  add_library(inlay_${name} STATIC ${ROOM_SOURCES})
  target_include_directories(inlay_${name} PUBLIC ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include ${PROJECT_BINARY_DIR}/generated)
  target_link_libraries(inlay_${name} PUBLIC ${ROOM_USES} PRIVATE inlay_settings)
endfunction()

# inlay_gtests(PROGRAM LABEL [ENVIRONMENT...]): a CTest test for each test of a gtest program. Under sanitizers four for the
# program, each a quarter of its tests in one process: a process of its own for each test cost more than most tests do.
function(inlay_gtests program label)
  if(INLAY_SANITIZE)
    foreach(shard RANGE 3)
      add_test(NAME ${program}.${shard} COMMAND ${program} --gtest_brief=1)
      set_tests_properties(${program}.${shard} PROPERTIES LABELS ${label} TIMEOUT 900
        ENVIRONMENT "GTEST_TOTAL_SHARDS=4;GTEST_SHARD_INDEX=${shard};${ARGN}")
    endforeach()
  else()
    gtest_discover_tests(${program} PROPERTIES LABELS ${label} TIMEOUT 300 ENVIRONMENT "${ARGN}" DISCOVERY_TIMEOUT 60)
  endif()
endfunction()

# inlay_unit_test(ROOM): one gtest program of all tests/unit/ROOM/*_test.cc, linked with the room.
function(inlay_unit_test room)
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/unit/${room}/*_test.cc)
  if(NOT sources)
    return()
  endif()
  add_executable(${room}_test ${sources} ${PROJECT_SOURCE_DIR}/tests/no_packed_cache.cc)
  target_link_libraries(${room}_test PRIVATE inlay_${room} inlay_settings GTest::gtest GTest::gmock GTest::gtest_main ${ARGN})
  target_compile_definitions(${room}_test PRIVATE INLAY_TEST_DATA="${PROJECT_SOURCE_DIR}/tests/data" INLAY_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
    INLAY_SANITIZED=$<BOOL:${INLAY_SANITIZE}>)
  if(NOT INLAY_SANITIZE)  # there the presets and src/CMakeLists.txt say
    target_compile_options(${room}_test PRIVATE -O1)  # with -O3 tests were a third of a release build
  endif()
  # GoogleTest's and the room's headers are read once for eight files: apart, they were three fifths of the compilation.
  set_target_properties(${room}_test PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 8)
  inlay_gtests(${room}_test unit HF_HUB_OFFLINE=1)
endfunction()

# inlay_fuzz_target(NAME): tests/fuzz/NAME_fuzz.cc with its corpus tests/fuzz/corpus/NAME. With INLAY_FUZZERS (clang)
# a libFuzzer program, which CTest runs for $INLAY_FUZZ_SECONDS after the corpus; otherwise a program that replays the
# corpus. All are built by the target `fuzzers`.
function(inlay_fuzz_target name)
  set(corpus ${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${name})
  add_executable(${name}_fuzz ${name}_fuzz.cc)
  target_link_libraries(${name}_fuzz PRIVATE inlay_engine inlay_io inlay_settings)
  if(INLAY_FUZZERS)
    target_link_options(${name}_fuzz PRIVATE -fsanitize=fuzzer)
  else()
    target_sources(${name}_fuzz PRIVATE replay.cc)
  endif()
  add_test(NAME fuzz.${name} COMMAND ${PROJECT_SOURCE_DIR}/tests/fuzz/fuzz.sh $<TARGET_FILE:${name}_fuzz> ${corpus} $<BOOL:${INLAY_FUZZERS}>)
  set_tests_properties(fuzz.${name} PROPERTIES LABELS fuzz TIMEOUT 900)
  add_dependencies(fuzzers ${name}_fuzz)
endfunction()

# inlay_registry(FOLDER TYPE NAME...): writes FOLDER_registry.cc, which returns the constants kName of each file
# NAME.cc in the order given, and sets INLAY_REGISTRY_SOURCES. A plain list: no static initialisers to lose.
function(inlay_registry folder type)
  set(declarations "")
  set(entries "")
  set(sources "")
  foreach(name ${ARGN})
    string(REPLACE "_" ";" words ${name})
    set(constant "k")
    foreach(word ${words})
      string(SUBSTRING ${word} 0 1 first)
      string(SUBSTRING ${word} 1 -1 rest)
      string(TOUPPER ${first} first)
      string(APPEND constant ${first}${rest})
    endforeach()
    string(APPEND declarations "extern const ${type} ${constant};\n")
    string(APPEND entries "    &${constant},\n")
    list(APPEND sources ${name}.cc)
  endforeach()
  set(file ${PROJECT_BINARY_DIR}/generated/${folder}/registry.cc)
  file(CONFIGURE OUTPUT ${file} CONTENT
"// Generated from src/${folder}/CMakeLists.txt: the list there is the registry.
#include \"${folder}/${folder}.h\"

namespace inlay::${folder} {
${declarations}
std::span<const ${type}* const> all() {
  static constexpr const ${type}* kAll[] = {
${entries}  };
  return kAll;
}
}  // namespace inlay::${folder}
" @ONLY)
  set(INLAY_REGISTRY_SOURCES ${sources} ${file} PARENT_SCOPE)
endfunction()
