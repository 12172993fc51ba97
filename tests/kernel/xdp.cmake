lbctl_test(unit_xdp unit
  SOURCES xdp_table_test.cpp xdp_codec_test.cpp ../xdp/header_test.cpp
  LINK xdp_test_support)
lbctl_test(kernel_xdp kernel
  SOURCES xdp_wire.cpp xdp_backend_test.cpp xdp_segment_test.cpp
    xdp_trouble_test.cpp
  LINK xdp_test_support)
