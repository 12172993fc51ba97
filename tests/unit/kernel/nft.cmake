lbctl_test(unit_kernel_nft unit SOURCES nft_codec_test.cpp nft_foreign_rule_test.cpp nft_marks_codec_test.cpp nfnl_verdict_test.cpp
  LINK lbctl_kernel_nft)
