lbctl_test(unit_kernel_rtnl unit SOURCES arp_probe_test.cpp rtnl_codec_test.cpp solicit_test.cpp tunnel_codec_test.cpp LINK lbctl_kernel_rtnl)
