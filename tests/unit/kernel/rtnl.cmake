lbctl_test(unit_kernel_rtnl unit SOURCES rtnl_codec_test.cpp tunnel_codec_test.cpp LINK lbctl_kernel_rtnl)
