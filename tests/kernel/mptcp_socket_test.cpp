// The generic netlink socket itself, with the path manager at the other end.
#include <doctest/doctest.h>
#include <linux/mptcp.h>
#include <sys/socket.h>

#include "namespace.hpp"
#include "netlink/genl.hpp"

using namespace lbctl::tests;
using lbctl::Result;
using lbctl::kernel::genl::DumpReader;
using lbctl::kernel::genl::Message;
using lbctl::kernel::genl::Request;
using lbctl::kernel::genl::Socket;

namespace {

Message request(std::uint8_t command) {
  auto out = Request(command, MPTCP_PM_VER).finish();
  REQUIRE(out);
  return std::move(*out);
}

std::size_t listed(Socket& socket, std::uint16_t family) {
  std::size_t count = 0;
  const DumpReader reader{.start = [&] { count = 0; },
                          .message = [&](const nlmsghdr&) -> Result<> {
                            ++count;
                            return {};
                          }};
  const auto read = socket.dump(family, request(MPTCP_PM_CMD_GET_ADDR), reader);
  REQUIRE_MESSAGE(read.has_value(), (read ? "" : read.error().text()));
  return count;
}

}  // namespace

TEST_CASE("genl socket: a family that the kernel lacks is ENOENT") {
  const Namespace net;
  const Inside inside(net);
  auto socket = Socket::open();
  REQUIRE(socket);
  const auto family = socket->family("no_such_family");
  REQUIRE_FALSE(family);
  CHECK(family.error().sys() == ENOENT);
}

TEST_CASE("genl socket: of a full batch, each refusal comes back with its place") {
  const Namespace net;
  const Inside inside(net);
  auto socket = Socket::open();
  REQUIRE(socket);
  const auto family = socket->family(MPTCP_PM_NAME);
  REQUIRE(family);
  std::vector<Message> batch;
  for (std::size_t i = 0; i < Socket::batch_max; ++i)
    batch.push_back(request(i % 2 == 0 ? MPTCP_PM_CMD_FLUSH_ADDRS : MPTCP_PM_CMD_ADD_ADDR));
  auto failures = socket->transact(*family, batch);
  REQUIRE(failures);
  REQUIRE(failures->size() == Socket::batch_max / 2);
  for (std::size_t i = 0; i < failures->size(); ++i) {
    CHECK((*failures)[i].index == 2 * i + 1);
    CHECK((*failures)[i].verdict.sys == EINVAL);  // an endpoint without an address
  }
  batch.push_back(request(MPTCP_PM_CMD_FLUSH_ADDRS));
  CHECK_FALSE(socket->transact(*family, batch));  // one too many
}

TEST_CASE("genl socket: lost answers are an error, never a success, and the socket goes on") {
  const Namespace net;
  const Inside inside(net);
  auto socket = Socket::open();
  REQUIRE(socket);
  const auto family = socket->family(MPTCP_PM_NAME);
  REQUIRE(family);
  const int tiny = 1;  // the kernel makes its minimum of it, room for two answers or three
  REQUIRE(setsockopt(socket->fd(), SOL_SOCKET, SO_RCVBUF, &tiny, sizeof tiny) == 0);
  std::vector<Message> batch;
  for (std::size_t i = 0; i < Socket::batch_max; ++i)
    batch.push_back(request(MPTCP_PM_CMD_ADD_ADDR));
  const auto failures = socket->transact(*family, batch);
  REQUIRE_FALSE(failures);
  CHECK(failures.error().sys() == ENOBUFS);
  CHECK(failures.error().text().starts_with("answers to changes were lost"));

  run("ip mptcp endpoint add 192.0.2.1 signal");
  run("ip mptcp endpoint add 192.0.2.2 signal");
  CHECK(listed(*socket, *family) == 2);
}

TEST_CASE("genl socket: a reader that fails ends the dump with its error") {
  const Namespace net;
  const Inside inside(net);
  auto socket = Socket::open();
  REQUIRE(socket);
  const auto family = socket->family(MPTCP_PM_NAME);
  REQUIRE(family);
  run("ip mptcp endpoint add 192.0.2.1 signal");
  run("ip mptcp endpoint add 192.0.2.2 signal");
  const DumpReader reader{.start = [] {},
                          .message = [](const nlmsghdr&) -> Result<> {
                            return lbctl::fail(lbctl::Errc::invalid, "not to my liking");
                          }};
  const auto read = socket->dump(*family, request(MPTCP_PM_CMD_GET_ADDR), reader);
  REQUIRE_FALSE(read);
  CHECK(read.error().text() == "not to my liking");
  CHECK(listed(*socket, *family) == 2);
}
