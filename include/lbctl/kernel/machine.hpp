// The machine itself, through /proc: which process holds a socket, what the kernel is and may do.
#pragma once

#include <span>

#include "lbctl/model/diagnosis.hpp"

namespace lbctl::kernel {

/// Fills in the owners of these sockets, and of UDP sockets whether they learn the destination of
/// what comes: a copy of the socket is asked for that (pidfd_getfd(2), needs CAP_SYS_PTRACE), and
/// closed again. Of several processes with one socket the first. What cannot be seen is left out.
void find_owners(std::span<model::OpenSocket> sockets);

/// Never fails: what the kernel does not tell is left as it is.
model::MachineFacts read_machine();

}  // namespace lbctl::kernel
