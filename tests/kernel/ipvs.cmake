# Where the kernel has no ip_vs only the refusal is checked (exit 77); the lab runs the whole.
lbctl_test(kernel_ipvs kernel SOURCES ipvs_main.cpp ipvs_test.cpp
  ipvs_refusal_test.cpp LINK lbctl_kernel_ipvs fmt::fmt)
