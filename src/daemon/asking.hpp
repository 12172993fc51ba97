// What the kinds of questions share: sockets that ask the way the file wants, and verdicts.
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "agent.hpp"
#include "child.hpp"
#include "probe.hpp"

namespace boost::asio::ssl {
class context;
}

struct gnutls_certificate_credentials_st;

namespace lbctl::daemon {

namespace asio = boost::asio;
using asio::awaitable;
using boost::system::error_code;

inline constexpr auto as_value = asio::as_tuple(asio::use_awaitable);

Verdict right();
Verdict wrong(std::string why);
/// This node could not ask.
Verdict unknown(std::string why);
/// The step that failed with this error; what this node lacks is not held against the server.
Verdict failed(const error_code& error, std::string_view step);

/// Opened here, so that what is wrong with this node is told from what is wrong with the server:
/// `type` and `protocol` as for socket(2), and bound and marked for the way through the VIP.
std::expected<int, Verdict> open_socket(const ProbeSpec& spec, int type, int protocol);
/// Where the question goes: the server's address, or the VIP.
const model::IpAddress& asked_address(const ProbeSpec& spec);

/// Until something can be read, or until then; now and then for nothing. `socket`: one, or a
/// stream_descriptor, which the timer's handler may need after this.
template <class Any>
awaitable<void> readable(std::shared_ptr<Any> socket, std::chrono::steady_clock::time_point until) {
  asio::steady_timer timer(socket->get_executor(), until);
  timer.async_wait([socket](const error_code& ended) {
    if (!ended) socket->cancel();
  });
  co_await socket->async_wait(Any::wait_read, as_value);
}

/// For what an answer must repeat.
std::uint64_t random_number();

using Stream = boost::beast::tcp_stream;
/// Within the check's timeout, which goes on for what follows. Nothing: it is connected.
awaitable<std::optional<Verdict>> connect(Stream& stream, const ProbeSpec& spec);
/// Closed with RST: a check leaves no TIME_WAIT behind, here or at the server.
void hang_up(Stream& stream);

/// What one probe keeps from question to question.
struct Memory {
  std::shared_ptr<asio::ssl::context> tls;
  std::shared_ptr<gnutls_certificate_credentials_st> authorities;
  std::optional<User> user;
  AgentState agent;
};

/// As it is sent.
std::string http_request(const ProbeSpec& spec);
awaitable<Verdict> ask_mptcp(const ProbeSpec& spec);
awaitable<Verdict> ask_http(const ProbeSpec& spec);
awaitable<Verdict> ask_https(const ProbeSpec& spec, Memory& memory);
awaitable<Verdict> ask_quic(const ProbeSpec& spec, Memory& memory);
/// udp, dns, and quic by version negotiation.
awaitable<Verdict> ask_datagram(const ProbeSpec& spec);
awaitable<Verdict> ask_agent(const ProbeSpec& spec, Memory& memory);
awaitable<Verdict> ask_command(const ProbeSpec& spec, Memory& memory);

/// Until the child has ended, or was killed as it took too long. Empty: its exit status was 0.
awaitable<std::string> outcome_of(Child child, std::chrono::seconds patience);

}  // namespace lbctl::daemon
