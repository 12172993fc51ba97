// A socket to rtnetlink: changes, dumps, and news of neighbours.
#pragma once

#include <netlink/netlink.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <vector>

#include "codec.hpp"

namespace lbctl::kernel::rtnl {

class Socket {
 public:
  /// NETLINK_ROUTE, or another family that speaks the same way.
  static Result<Socket> open(int family = 0);

  /// One change; `flags` are NLM_F_CREATE and the like. The error has the kernel's words.
  Result<> change(const Message& message, std::uint16_t flags);
  /// One question, and its answer.
  Result<> ask(const Message& message, const std::function<void(const nlmsghdr&)>& on_message);
  /// Everything of one kind (RTM_GET…). Begins anew when a change came between, hence the vector:
  /// messages that `decode` refuses are left out.
  template <class T>
  Result<std::vector<T>> dump(int type, Result<T> (*decode)(const nlmsghdr&)) {
    const auto request = encode_dump(type);
    if (!request) return fail(request.error());
    std::vector<T> all;
    auto read = dump(
        *request, [&] { all.clear(); },
        [&](const nlmsghdr& message) {
          if (auto one = decode(message)) all.push_back(std::move(*one));
        });
    if (!read) return fail(std::move(read).error());
    return all;
  }

  /// The same, message by message; `start` is called before each beginning.
  Result<> dump(const Message& request, const std::function<void()>& start,
                const std::function<void(const nlmsghdr&)>& on_message);

  /// From now on this socket hears of neighbours; it must not be used for anything else.
  Result<> listen_to_neighbours();
  /// Waits until something was heard, at most until `deadline`.
  void wait_for_news(std::chrono::steady_clock::time_point deadline);

 private:
  using Handle = CHandle<nl_sock, &nl_socket_free>;
  explicit Socket(Handle handle) : handle_(std::move(handle)) {}
  Result<> send(const Message& message, std::uint16_t flags);
  /// Reads until the request's closing word; sys() EINTR if a dump was overtaken.
  Result<> receive(const std::function<void(const nlmsghdr&)>& on_message);

  Handle handle_;
  std::uint32_t sequence_ = 0;
  std::vector<std::uint8_t> buffer_ = std::vector<std::uint8_t>(65536);
};

}  // namespace lbctl::kernel::rtnl
