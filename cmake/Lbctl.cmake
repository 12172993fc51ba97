# How every floor of lbctl is compiled. One folder of src is one library; its link list is its
# include rule: a floor sees the headers of what it links and nothing else.

find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)

add_library(lbctl_flags INTERFACE)
# -Wno-missing-field-initializers: designated initializers leave out on purpose what keeps its
# default. -Wno-restrict: g++ 12 warns of `"text" + std::string` at -O2 (GCC bug 105651).
target_compile_options(lbctl_flags INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wconversion -Wshadow -Werror -Wno-missing-field-initializers>
  $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<CXX_COMPILER_ID:GNU>>:-Wno-psabi;-Wno-restrict>)
if(LBCTL_SANITIZE)
  target_compile_options(lbctl_flags INTERFACE -fsanitize=${LBCTL_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all)
  target_link_options(lbctl_flags INTERFACE -fsanitize=${LBCTL_SANITIZE})
endif()
if(LBCTL_FUZZ)
  target_compile_options(lbctl_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

# lbctl_floor(NAME SOURCES … [ALONE …] [LINK …]): the library lbctl_NAME. Public headers come from
# include/lbctl; private ones stand beside the sources. Where CMAKE_UNITY_BUILD bundles sources, which
# makes a build several times quicker, ALONE ones stay out: a private name of theirs is in another
# source too, or what they include does not go together.
function(lbctl_floor name)
  cmake_parse_arguments(arg "" "" "SOURCES;ALONE;LINK;PRIVATE_LINK" ${ARGN})
  add_library(lbctl_${name} STATIC ${arg_SOURCES} ${arg_ALONE})
  set_source_files_properties(${arg_ALONE} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  target_include_directories(lbctl_${name} PUBLIC ${PROJECT_SOURCE_DIR}/include
    PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
  target_link_libraries(lbctl_${name} PUBLIC lbctl_flags ${arg_LINK} PRIVATE ${arg_PRIVATE_LINK})
endfunction()

# lbctl_test(NAME LABEL SOURCES … [LINK …]): one doctest program, one ctest entry. LABEL is unit
# (no privileges, seconds) or kernel (root: makes network namespaces on the running kernel); each
# brings its main(), unless SOURCES have one.
function(lbctl_test name label)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE lbctl_flags ${arg_LINK} lbctl_${label}_test_main)
  target_compile_definitions(${name} PRIVATE LBCTL_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS ${label} SKIP_RETURN_CODE 77)
endfunction()
