# What `cmake --install` places: the shared library with both public headers, the program, and the files by which
# find_package(inlay) and pkg-config find them. Nothing installed needs a header or a static library of another project.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set_target_properties(inlay_shared PROPERTIES EXPORT_NAME inlay)
install(TARGETS inlay_shared EXPORT inlay_targets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS inlay RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY include/inlay DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h" PATTERN "*.hpp")
install(FILES LICENSE THIRD_PARTY_NOTICES.md DESTINATION ${CMAKE_INSTALL_DOCDIR})

set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/inlay)
install(EXPORT inlay_targets NAMESPACE inlay:: DESTINATION ${package_folder})
configure_package_config_file(cmake/inlay-config.cmake.in ${PROJECT_BINARY_DIR}/inlay-config.cmake
  INSTALL_DESTINATION ${package_folder})
# Before 1.0 a minor version may change the C++ API; the C ABI's own version is the SOVERSION.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/inlay-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/inlay-config.cmake ${PROJECT_BINARY_DIR}/inlay-config-version.cmake
  DESTINATION ${package_folder})

# Paths in inlay.pc are relative to the file itself, so that an installed tree may be moved.
file(RELATIVE_PATH INLAY_PC_PREFIX /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
configure_file(cmake/inlay.pc.in ${PROJECT_BINARY_DIR}/inlay.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/inlay.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
