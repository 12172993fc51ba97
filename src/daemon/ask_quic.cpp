// quic: version negotiation, or a handshake whose connection ID must name the server.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/asio/ip/udp.hpp>
#include <cstring>

#include "asking.hpp"
#include "lbctl/engine/key_file.hpp"
#include "quic_cid.hpp"
#include "quic_client.hpp"

namespace lbctl::daemon {

using asio::ip::udp;
using Clock = QuicClient::Clock;
using Slots = std::vector<ProbeSpec::CidSlot>;

namespace {

/// Read for each question: keys are rotated without a word to the daemon.
std::expected<Slots, std::string> with_keys(Slots slots) {
  for (auto& [cid, id] : slots) {
    if (cid.key_file.empty()) continue;
    auto key = engine::read_key_file(cid.key_file);
    if (!key) return std::unexpected(key.error().text());
    cid.scheme.key = std::move(*key);
  }
  return slots;
}

QuicClient::Ends ends_of(const udp::socket& socket, error_code& error) {
  QuicClient::Ends out;
  const udp::endpoint local = socket.local_endpoint(error), remote = socket.remote_endpoint(error);
  out.size = static_cast<socklen_t>(remote.size());
  std::memcpy(&out.local, local.data(), local.size());
  std::memcpy(&out.remote, remote.data(), remote.size());
  return out;
}

/// What has been found out so far.
struct Findings {
  std::optional<Verdict> verdict;
  bool cid_seen = false;
};

/// Takes all that has come.
void receive(udp::socket& socket, QuicClient& client, const Slots& slots, Findings& findings) {
  std::array<char, 2048> buffer{};
  for (;;) {
    error_code error;
    const std::size_t size = socket.receive(asio::buffer(buffer), 0, error);
    if (error == asio::error::would_block) return;
    if (error) {
      findings.verdict = failed(error, "answer");
      return;
    }
    const std::string_view datagram(buffer.data(), size);
    client.take(datagram);
    const auto cid = findings.cid_seen ? std::nullopt : issued_cid(datagram);
    if (!cid) continue;
    // A wrong one is told at once: through the VIP, what names it may go to another server.
    findings.cid_seen = true;
    if (auto why = wrong_cid(slots, *cid); !why.empty()) {
      findings.verdict = wrong(std::move(why));
      return;
    }
  }
}

/// What is lost is sent again.
void send(udp::socket& socket, const std::string& datagram) {
  error_code lost;
  if (!datagram.empty()) socket.send(asio::buffer(datagram), 0, lost);
}

void send_all(udp::socket& socket, QuicClient& client) {
  for (auto next = client.next_datagram(); !next.empty(); next = client.next_datagram())
    send(socket, next);
}

awaitable<Verdict> shake_hands(std::shared_ptr<udp::socket> socket, QuicClient& client,
                               const Slots& slots, Clock::time_point deadline) {
  Findings findings;
  send_all(*socket, client);
  while (!findings.verdict && client.error().empty() && !client.shaken_hands()) {
    if (Clock::now() >= deadline) co_return wrong("handshake: no answer in time");
    co_await readable(socket, std::min(deadline, client.expiry()));
    receive(*socket, client, slots, findings);
    client.on_time();
    send_all(*socket, client);
  }
  if (findings.verdict) co_return *findings.verdict;
  if (!client.error().empty()) co_return wrong(client.error());
  co_return findings.cid_seen ? right() : wrong("handshake: no connection ID came");
}

}  // namespace

awaitable<Verdict> ask_quic(const ProbeSpec& spec, Memory& memory) {
  if (!spec.check.quic.handshake) co_return co_await ask_datagram(spec);
  const auto deadline = Clock::now() + std::chrono::seconds(spec.check.timeout);
  const auto slots = with_keys(spec.slots);
  if (!slots) co_return unknown(slots.error());
  if (!memory.authorities) {
    auto made = QuicClient::authorities(spec.check.tls);
    if (!made) co_return unknown(std::move(made.error()));
    memory.authorities = std::move(*made);
  }
  const auto fd = open_socket(spec, SOCK_DGRAM, 0);
  if (!fd) co_return fd.error();
  const udp::endpoint to(asio::ip::make_address(asked_address(spec).text()), number(spec.port));
  const auto socket =
      std::make_shared<udp::socket>(co_await asio::this_coro::executor, to.protocol(), *fd);
  error_code error;
  socket->connect(to, error);
  if (!error) socket->non_blocking(true, error);
  if (error) co_return failed(error, "connect");
  const auto ends = ends_of(*socket, error);
  const auto client = QuicClient::make(spec.check, spec.address.text(), memory.authorities, ends);
  if (!client) co_return unknown("this node begins no QUIC connection");
  Verdict out = co_await shake_hands(socket, *client, *slots, deadline);
  send(*socket, client->farewell());
  co_return out;
}

}  // namespace lbctl::daemon
