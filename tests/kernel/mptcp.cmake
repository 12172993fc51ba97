lbctl_test(kernel_mptcp kernel SOURCES mptcp_test.cpp
  mptcp_socket_test.cpp LINK lbctl_kernel_mptcp lbctl_kernel_genl fmt::fmt)
