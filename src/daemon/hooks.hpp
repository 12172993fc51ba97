// Runs what the file wants run when a service reaches or loses its quorum.
#pragma once

#include <boost/asio/io_context.hpp>
#include <map>
#include <optional>
#include <string>

#include "lbctl/config/health.hpp"
#include "teller.hpp"

namespace lbctl::daemon {

class Hooks {
 public:
  Hooks(boost::asio::io_context& io, Teller& teller) : io_(io), teller_(teller) {}

  /// One at a time for each service: of what happens meanwhile only the last counts.
  void run(const std::string& service, bool quorum, const config::Quorum& commands);

 private:
  struct Turn;
  struct Place {
    bool runs = false;
    std::optional<std::pair<bool, config::Command>> next;
  };
  void tell(const std::string& service, bool quorum, const std::string& why);

  boost::asio::io_context& io_;
  Teller& teller_;
  std::map<std::string, Place> places_;
};

}  // namespace lbctl::daemon
