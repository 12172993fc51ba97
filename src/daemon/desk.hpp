// When the crowd's questions wake, and the sockets that they use.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <optional>
#include <set>
#include <utility>
#include <vector>

namespace lbctl::daemon {

/// Has one socket at most, from Desk::take() until Desk::give_back().
class Caller {
 public:
  virtual ~Caller() = default;
  virtual void wake() = 0;                       ///< the time has come
  virtual void ready(std::uint32_t events) = 0;  ///< of the socket, as epoll(7) tells them
};

/// One for each event loop. Asio would make several system calls for each of its operations, and
/// one for each timer; here all sockets stand in an epoll of their own, which Asio watches, and
/// times are rounded up so that what comes together is done together.
class Desk : public boost::asio::execution_context::service {
 public:
  using Time = std::chrono::steady_clock::time_point;
  inline static boost::asio::execution_context::id id;

  explicit Desk(boost::asio::execution_context& context);
  ~Desk() override;
  Desk(const Desk&) = delete;
  Desk& operator=(const Desk&) = delete;

  /// Wakes `caller` then, and not when it was to be woken before.
  void wake_at(Caller& caller, Time& when, Time at);
  void forget(Caller& caller, Time& when);

  /// A non-blocking TCP socket that is not connected; less than 0: errno tells why there is none.
  int take(int family, Caller& caller);
  /// `well`: connected, and nothing went wrong: it is hung up on with RST and used again, as a
  /// socket's making and its end cost the kernel as much as the rest of a check.
  void give_back(int family, int fd, bool well);

 private:
  void shutdown() override;
  int make(int family);
  std::vector<int>& idle(int family);
  void arm();
  void wake_due();
  void listen();
  void take_events();

  using Due = std::pair<Time, Caller*>;
  std::set<Due> due_;
  boost::asio::steady_timer timer_;
  std::optional<Time> armed_;
  boost::asio::posix::stream_descriptor epoll_;
  std::vector<Caller*> callers_;  ///< by descriptor
  std::vector<int> idle_[2];      ///< IPv4, IPv6
};

}  // namespace lbctl::daemon
