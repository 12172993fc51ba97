# nfnetlink (nf_tables) on libmnl; headers are included as "netlink/nfnl_socket.hpp".
pkg_check_modules(LIBMNL REQUIRED IMPORTED_TARGET libmnl)
lbctl_floor(kernel_nfnl SOURCES nfnl_socket.cpp LINK lbctl_base PkgConfig::LIBMNL)
target_include_directories(lbctl_kernel_nfnl PUBLIC ${PROJECT_SOURCE_DIR}/src/kernel)
