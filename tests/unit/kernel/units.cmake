lbctl_test(unit_units unit SOURCES units_text_test.cpp units_folder_test.cpp LINK lbctl_kernel_units lbctl_plan)
# Its private headers, as "drop_in.hpp".
target_include_directories(unit_units PRIVATE ${PROJECT_SOURCE_DIR}/src/kernel/units
  ${PROJECT_SOURCE_DIR}/tests/unit/engine)
