# Where a Debian package would put things. The binary's rule stands beside its target, src/cli.
install(FILES ${PROJECT_SOURCE_DIR}/man/lbctl.8 ${PROJECT_SOURCE_DIR}/man/lbctl-daemon.8
  ${PROJECT_SOURCE_DIR}/man/lbctl-doctor.8
  DESTINATION ${CMAKE_INSTALL_MANDIR}/man8)
install(FILES ${PROJECT_SOURCE_DIR}/man/lbctl.toml.5 DESTINATION ${CMAKE_INSTALL_MANDIR}/man5)
install(FILES ${PROJECT_SOURCE_DIR}/man/lbctl-quic.7 DESTINATION ${CMAKE_INSTALL_MANDIR}/man7)
install(FILES ${PROJECT_SOURCE_DIR}/include/lbctl/cid.h
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/lbctl)
install(FILES ${PROJECT_SOURCE_DIR}/systemd/lbctl-apply.service
  ${PROJECT_SOURCE_DIR}/systemd/lbctl.service DESTINATION lib/systemd/system)
install(FILES ${PROJECT_SOURCE_DIR}/etc/completions/lbctl
  DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES ${PROJECT_SOURCE_DIR}/etc/lbctl.toml
  DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/lbctl/examples)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/etc/examples/
  DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/lbctl/examples FILES_MATCHING PATTERN "*.toml")
install(FILES ${PROJECT_SOURCE_DIR}/rules/director-forward.nft
  DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/lbctl/rules)
install(FILES ${PROJECT_SOURCE_DIR}/README.md ${PROJECT_SOURCE_DIR}/CHANGELOG.md
  DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/lbctl)
