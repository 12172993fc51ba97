lbctl_test(unit_kernel_mptcp unit SOURCES mptcp_codec_test.cpp
  LINK lbctl_kernel_mptcp lbctl_kernel_genl)
