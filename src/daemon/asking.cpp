#include "asking.hpp"

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <boost/asio/ip/tcp.hpp>
#include <random>

namespace lbctl::daemon {

namespace beast = boost::beast;

namespace {

error_code last_error() {
  return {errno, boost::system::system_category()};
}

std::string_view name(int type, int protocol) {
  if (type == SOCK_DGRAM) return "UDP";
  return protocol == IPPROTO_MPTCP ? "MPTCP" : "TCP";
}

/// The VIP is an address of this node: without a source of its own it would be the source, too.
bool go_through(int fd, const ProbeSpec::Through& through) {
  const asio::ip::tcp::endpoint source(asio::ip::make_address(through.source.text()), 0);
  return ::setsockopt(fd, SOL_SOCKET, SO_MARK, &through.mark, sizeof through.mark) == 0 &&
         ::bind(fd, source.data(), static_cast<socklen_t>(source.size())) == 0;
}

}  // namespace

Verdict right() {
  return {Answer::right, "", {}, {}};
}
Verdict wrong(std::string why) {
  return {Answer::wrong, std::move(why), {}, {}};
}
Verdict unknown(std::string why) {
  return {Answer::unknown, std::move(why), {}, {}};
}

Verdict failed(const error_code& error, std::string_view step) {
  if (error == beast::error::timeout) return wrong(fmt::format("{}: no answer in time", step));
  for (const auto own :
       {boost::system::errc::too_many_files_open,
        boost::system::errc::too_many_files_open_in_system, boost::system::errc::not_enough_memory,
        boost::system::errc::no_buffer_space})
    if (error == own) return unknown(fmt::format("{}: {}", step, error.message()));
  return wrong(fmt::format("{}: {}", step, error.message()));
}

const model::IpAddress& asked_address(const ProbeSpec& spec) {
  return spec.through ? spec.through->vip : spec.address;
}

std::expected<int, Verdict> open_socket(const ProbeSpec& spec, int type, int protocol) {
  const int family = spec.address.is_v4() ? AF_INET : AF_INET6;
  const int fd = ::socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
  if (fd < 0)
    return std::unexpected(unknown(fmt::format("this node opens no {} socket: {}",
                                               name(type, protocol), last_error().message())));
  if (!spec.through || go_through(fd, *spec.through)) return fd;
  const error_code error = last_error();
  ::close(fd);
  return std::unexpected(
      unknown(fmt::format("this node can't ask through the VIP: {}", error.message())));
}

std::uint64_t random_number() {
  static std::random_device device;
  return std::uint64_t{device()} << 32U | device();
}

awaitable<std::optional<Verdict>> connect(Stream& stream, const ProbeSpec& spec) {
  const bool mptcp = spec.check.type == config::CheckType::mptcp;
  const auto fd = open_socket(spec, SOCK_STREAM, mptcp ? IPPROTO_MPTCP : IPPROTO_TCP);
  if (!fd) co_return fd.error();
  const asio::ip::tcp::endpoint to(asio::ip::make_address(asked_address(spec).text()),
                                   number(spec.port));
  stream.socket().assign(to.protocol(), *fd);
  stream.expires_after(std::chrono::seconds(spec.check.timeout));
  const auto [error] = co_await stream.async_connect(to, as_value);
  if (error) co_return failed(error, "connect");
  co_return std::nullopt;
}

void hang_up(Stream& stream) {
  error_code ignored;
  stream.socket().set_option(asio::socket_base::linger(true, 0), ignored);
  stream.close();
}

}  // namespace lbctl::daemon
