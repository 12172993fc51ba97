lbctl_test(kernel_engine kernel SOURCES engine_kill_test.cpp
  LINK lbctl_cli)
