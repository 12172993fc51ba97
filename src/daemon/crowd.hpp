// The questions that are asked by the thousand, with few system calls and no coroutine: tcp, and
// http whose status line tells all, at a server's own address.
#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>

#include "probe.hpp"

namespace lbctl::daemon {

bool is_of_the_crowd(const ProbeSpec& spec);

/// As start_probe(), for a spec of the crowd.
std::unique_ptr<Probe> start_in_crowd(boost::asio::io_context& io, ProbeSpec spec,
                                      std::chrono::milliseconds first, Judged judged);

}  // namespace lbctl::daemon
