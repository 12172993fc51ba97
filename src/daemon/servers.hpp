// The two ends at which the daemon is asked: metrics by HTTP, the control socket.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>

#include "control.hpp"
#include "lbctl/base/result.hpp"

namespace lbctl::daemon {

/// Serves until it is destroyed.
class Server {
 public:
  virtual ~Server() = default;
};

/// GET /metrics and /healthz.
Result<std::unique_ptr<Server>> serve_metrics(boost::asio::io_context& io, const Keeper& keeper,
                                              const std::string& version,
                                              const model::IpAddress& address, model::Port port);

/// What requests ask of the event loop.
struct Wishes {
  std::function<bool()> reload;  ///< false: the file is wrong
  std::function<void(const std::string& why)> round;
};

/// `group`: who may use it besides root and the daemon's own user; empty: nobody.
Result<std::unique_ptr<Server>> serve_control(boost::asio::io_context& io, Keeper& keeper,
                                              const std::string& path, const std::string& group,
                                              Wishes wishes);

}  // namespace lbctl::daemon
