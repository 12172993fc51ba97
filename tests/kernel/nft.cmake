lbctl_test(kernel_nft kernel SOURCES nft_marks_test.cpp nft_table_test.cpp nft_guard_test.cpp
  LINK lbctl_kernel_nft)
lbctl_test(kernel_nft_traffic kernel SOURCES rtnl_capture.cpp
  nft_packets.cpp nft_traffic_test.cpp LINK lbctl_kernel_nft lbctl_kernel_rtnl fmt::fmt)
