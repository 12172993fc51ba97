# lbctl_bpf_skeleton(NAME SOURCE): compiles SOURCE with clang for the BPF target and turns the
# object into a libbpf skeleton header, so that the program travels inside the binary.
# Gives the target NAME_skel, whose include directory holds NAME.skel.h.
find_program(LBCTL_BPF_CLANG NAMES clang-19 clang REQUIRED)
find_program(LBCTL_LLVM_STRIP NAMES llvm-strip-19 llvm-strip REQUIRED)
find_program(LBCTL_BPFTOOL NAMES bpftool PATHS /usr/sbin /sbin REQUIRED)

function(lbctl_bpf_skeleton name source)
  set(out ${CMAKE_CURRENT_BINARY_DIR}/${name})
  get_filename_component(src ${source} ABSOLUTE)
  add_custom_command(OUTPUT ${out}.bpf.o
    COMMAND ${LBCTL_BPF_CLANG} -target bpf -mcpu=v3 -O2 -g -Wall -Wextra -Werror
            -I${PROJECT_SOURCE_DIR}/xdp -idirafter /usr/include/${CMAKE_LIBRARY_ARCHITECTURE}
            -MD -MF ${out}.d -MT ${out}.bpf.o -c ${src} -o ${out}.bpf.o
    COMMAND ${LBCTL_LLVM_STRIP} -g ${out}.bpf.o
    DEPENDS ${src} DEPFILE ${out}.d VERBATIM COMMENT "BPF ${name}")
  add_custom_command(OUTPUT ${out}.skel.h
    COMMAND sh -c "${LBCTL_BPFTOOL} gen skeleton ${out}.bpf.o name ${name} > ${out}.skel.h"
    DEPENDS ${out}.bpf.o VERBATIM COMMENT "Skeleton ${name}")
  add_custom_target(${name}_skel_gen DEPENDS ${out}.skel.h)
  add_library(${name}_skel INTERFACE)
  target_include_directories(${name}_skel SYSTEM INTERFACE ${CMAKE_CURRENT_BINARY_DIR})
  add_dependencies(${name}_skel ${name}_skel_gen)
endfunction()
