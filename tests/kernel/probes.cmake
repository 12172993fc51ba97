lbctl_test(kernel_probes kernel SOURCES probes_test.cpp LINK lbctl_daemon)
target_include_directories(kernel_probes PRIVATE ${PROJECT_SOURCE_DIR}/src/daemon
  ${PROJECT_SOURCE_DIR}/tests/unit/engine)
target_compile_definitions(kernel_probes PRIVATE LBCTL_H3_SERVER="$<TARGET_FILE:h3_server>")
add_dependencies(kernel_probes h3_server)
