// Sockets made here, and found again among the kernel's.
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>

#include "lbctl/kernel/listeners.hpp"
#include "namespace.hpp"

using namespace lbctl;
using model::IpAddress;
using model::L4;
using model::Listener;
using model::Port;
using tests::Inside;
using tests::Namespace;

namespace {

#ifndef IPPROTO_MPTCP
constexpr int IPPROTO_MPTCP = 262;
#endif

IpAddress ip(const char* text) {
  return IpAddress::parse(text).value();
}

Fd bound(const char* address, std::uint16_t port, int type, int protocol, bool v6_only = false) {
  const bool v6 = std::string_view(address).find(':') != std::string_view::npos;
  Fd out(socket(v6 ? AF_INET6 : AF_INET, type, protocol));
  REQUIRE(out);
  const int only = v6_only ? 1 : 0;
  sockaddr_in6 at6{};
  sockaddr_in at4{};
  at6.sin6_family = AF_INET6;
  at4.sin_family = AF_INET;
  at6.sin6_port = at4.sin_port = htons(port);
  if (v6) {
    setsockopt(out.get(), IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only);
    inet_pton(AF_INET6, address, &at6.sin6_addr);
    REQUIRE(bind(out.get(), reinterpret_cast<const sockaddr*>(&at6), sizeof at6) == 0);
  } else {
    inet_pton(AF_INET, address, &at4.sin_addr);
    REQUIRE(bind(out.get(), reinterpret_cast<const sockaddr*>(&at4), sizeof at4) == 0);
  }
  if (type == SOCK_STREAM) REQUIRE(listen(out.get(), 1) == 0);
  return out;
}

std::vector<Listener> read(L4 protocol, std::uint16_t port) {
  auto found = kernel::read_listeners(protocol, Port{port});
  REQUIRE_MESSAGE(found.has_value(), (found ? "" : found.error().text()));
  std::ranges::sort(*found);
  return *found;
}

}  // namespace

TEST_CASE("listeners: plain TCP and MPTCP are told apart, and ports and addresses") {
  const Namespace net;
  const Inside inside(net);
  const Fd plain = bound("127.0.0.1", 443, SOCK_STREAM, IPPROTO_TCP);
  const Fd mptcp = bound("::", 8443, SOCK_STREAM, IPPROTO_MPTCP);
  const Fd only = bound("::", 9443, SOCK_STREAM, IPPROTO_TCP, true);
  CHECK(read(L4::tcp, 443) == std::vector<Listener>{{ip("127.0.0.1"), Port{443}}});
  CHECK(read(L4::tcp, 8443) == std::vector<Listener>{{ip("::"), Port{8443}, true, false}});
  CHECK(read(L4::tcp, 9443) == std::vector<Listener>{{ip("::"), Port{9443}, false, true}});
  CHECK(read(L4::tcp, 80).empty());
  CHECK(read(L4::udp, 443).empty());
}

TEST_CASE("listeners: UDP sockets that are bound, of both families") {
  const Namespace net;
  const Inside inside(net);
  const Fd v4 = bound("0.0.0.0", 443, SOCK_DGRAM, 0);
  const Fd v6 = bound("::1", 443, SOCK_DGRAM, 0);
  CHECK(read(L4::udp, 443) ==
        std::vector<Listener>{{ip("0.0.0.0"), Port{443}}, {ip("::1"), Port{443}, false, true}});
}
