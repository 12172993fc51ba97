lbctl_test(kernel_sysctl kernel SOURCES sysctl_test.cpp
  LINK lbctl_kernel_sysctl)
