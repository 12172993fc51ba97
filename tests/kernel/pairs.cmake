# Where the kernel has no IPVS the directors' half is left out and said; the lab runs the whole.
lbctl_test(kernel_pairs kernel SOURCES pairs_test.cpp
  LINK lbctl_random lbctl_cli)
