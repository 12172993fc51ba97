# The tests see private headers as "ipvs/codec.hpp".
lbctl_test(unit_kernel_ipvs unit SOURCES genl_test.cpp ipvs_codec_test.cpp ipvs_node_codec_test.cpp
  ipvs_batch_test.cpp ipvs_connections_test.cpp LINK lbctl_kernel_ipvs lbctl_kernel_genl)
