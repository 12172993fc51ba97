// Makes probes on an Asio event loop.
#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>

#include "probe.hpp"

namespace lbctl::daemon {

/// The first question comes after `first`. `judged` may destroy the probe.
std::unique_ptr<Probe> start_probe(boost::asio::io_context& io, ProbeSpec spec,
                                   std::chrono::milliseconds first, Judged judged);

}  // namespace lbctl::daemon
