lbctl_test(unit_kernel_sysctl unit SOURCES sysctl_text_test.cpp
  LINK lbctl_kernel_sysctl)
