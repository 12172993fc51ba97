# Where the kernel has no ip_vs, that part is left out and said; the lab runs the whole.
lbctl_test(kernel_commands kernel SOURCES commands_test.cpp
  LINK lbctl_plan lbctl_kernel_ipvs lbctl_kernel_mptcp lbctl_kernel_nft lbctl_kernel_rtnl
    lbctl_kernel_sysctl fmt::fmt)
