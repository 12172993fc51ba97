lbctl_test(kernel_rtnl kernel SOURCES rtnl_capture.cpp
  listeners_test.cpp rtnl_test.cpp LINK lbctl_kernel_rtnl)
