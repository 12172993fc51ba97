#include "h3/server.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>

#include "h3/stateless.hpp"

namespace peer {

H3Server::H3Server(H3Settings settings, Tls tls, EventLog log)
    : settings_(std::move(settings)), tls_(std::move(tls)), log_(std::move(log)) {
  fill_random(secret_);
}

std::expected<void, std::string> H3Server::listen(const std::vector<SocketAddress>& addresses) {
  for (const auto& address : addresses) {
    auto socket = UdpSocket::open(address);
    if (!socket) return std::unexpected(socket.error());
    sockets_.push_back(std::move(*socket));
    log(event("listening").add("local", to_string(address)));
  }
  return {};
}

std::expected<void, std::string> H3Server::run() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGUSR1);
  sigaddset(&set, SIGUSR2);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  const Fd signals(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  std::vector<pollfd> entries = {{signals.get(), POLLIN, 0}};
  for (const auto& socket : sockets_)
    entries.push_back({socket.fd(), POLLIN, 0});

  while (entries[0].revents == 0 || !told_to_end(signals.get())) {
    if (poll(entries.data(), entries.size(), poll_timeout()) < 0 && errno != EINTR)
      return std::unexpected(fmt::format("poll: {}", std::strerror(errno)));
    // A bounded number of datagrams, so that a flood does not starve the timers.
    for (auto& socket : sockets_)
      for (int i = 0; i < 256; ++i) {
        auto datagram = socket.receive();
        if (!datagram) break;
        on_datagram(*datagram);
      }
    run_timers();
  }
  log(event("exit")
          .add("connections", counters_.connections)
          .add("unknown_dcid", counters_.unknown_dcid)
          .add("resets_sent", counters_.resets_sent)
          .add("retries_sent", counters_.retries_sent)
          .add("version_negotiations", counters_.version_negotiations)
          .add("malformed", counters_.malformed)
          .add("send_errors", counters_.send_errors));
  connections_.clear();
  return {};
}

/// SIGUSR1 only ends the dripping answers, SIGUSR2 only changes the connection IDs from now on.
bool H3Server::told_to_end(int signals) {
  signalfd_siginfo signal{};
  if (read(signals, &signal, sizeof signal) != sizeof signal) return false;
  if (signal.ssi_signo == SIGUSR2) {
    next_ = settings_.next_cid.has_value();
    log(event("next_layout").add("changed", next_));
    return false;
  }
  if (signal.ssi_signo != SIGUSR1) return true;
  for (const auto& [connection, owner] : connections_)
    connection->stop_dripping();
  return false;
}

ngtcp2_cid H3Server::new_cid() const {
  const CidFormat& format = next_ ? *settings_.next_cid : settings_.cid;
  Octets random(LBCTL_CID_LONGEST);
  fill_random(random);
  const auto octets = format.make(std::move(random));
  ngtcp2_cid cid;
  ngtcp2_cid_init(&cid, octets.data(), octets.size());
  return cid;
}

bool H3Server::is_own(std::span<const std::uint8_t> cid) const {
  return settings_.cid.is_own(cid) || (settings_.next_cid && settings_.next_cid->is_own(cid));
}

void H3Server::on_datagram(Datagram& datagram) {
  // ngtcp2 aborts the process on an empty datagram, by an assertion.
  if (datagram.data.empty()) {
    ++counters_.malformed;
    return;
  }
  ngtcp2_version_cid header{};
  const int status = ngtcp2_pkt_decode_version_cid(&header, datagram.data.data(),
                                                   datagram.data.size(), settings_.cid.length());
  if (status == NGTCP2_ERR_VERSION_NEGOTIATION) {
    // ngtcp2 asks for it only when the datagram has 1200 octets: else we would amplify.
    return send_stateless(datagram, version_negotiation_packet(header),
                          counters_.version_negotiations);
  }
  if (status != 0) {
    ++counters_.malformed;
    return;
  }
  const std::span dcid(header.dcid, header.dcidlen);
  if (const auto known = by_cid_.find(Octets(dcid.begin(), dcid.end())); known != by_cid_.end())
    return known->second->on_datagram(datagram);
  if ((datagram.data[0] & 0x80) != 0) return on_unknown_long_header(datagram, dcid);
  on_unknown_dcid(datagram, dcid, false);
  send_stateless(datagram, stateless_reset_packet(secret_, dcid, datagram.data.size()),
                 counters_.resets_sent);
}

void H3Server::on_unknown_long_header(Datagram& datagram, std::span<const std::uint8_t> dcid) {
  ngtcp2_pkt_hd initial{};
  const int status = ngtcp2_accept(&initial, datagram.data.data(), datagram.data.size());
  const bool wants_retry =
      status == NGTCP2_ERR_RETRY || (status == 0 && settings_.retry && initial.token.len == 0);
  if (wants_retry)
    send_stateless(datagram, retry_packet(secret_, initial, datagram.remote, new_cid()),
                   counters_.retries_sent);
  else if (status == 0)
    accept(datagram, initial);
  else
    on_unknown_dcid(datagram, dcid, true);
}

void H3Server::on_unknown_dcid(Datagram& datagram, std::span<const std::uint8_t> dcid,
                               bool long_header) {
  ++counters_.unknown_dcid;
  log(event("unknown_dcid")
          .add("dcid", to_hex(dcid))
          .add("remote", to_string(datagram.remote))
          .add("header", long_header ? "long" : "short")
          .add("own", is_own(dcid)));
}

void H3Server::accept(Datagram& datagram, const ngtcp2_pkt_hd& initial) {
  std::optional<ngtcp2_cid> retried;
  if (settings_.retry) {
    retried = verify_retry_token(secret_, initial, datagram.remote);
    if (!retried) return log(event("bad_token").add("remote", to_string(datagram.remote)));
  }
  auto connection = Connection::accept(*this, initial, retried, datagram);
  if (!connection) return log(event("refused").add("remote", to_string(datagram.remote)));
  ++counters_.connections;
  auto* started = connection.get();
  connections_.emplace(started, std::move(connection));
  started->on_datagram(datagram);
}

void H3Server::send_stateless(Datagram& datagram, const Octets& packet, std::uint64_t& counter) {
  if (packet.empty()) return;
  ++counter;
  send(path_of(datagram), packet);
}

void H3Server::run_timers() {
  const auto time = now();
  for (auto entry = connections_.begin(); entry != connections_.end();) {
    if (entry->first->expiry() <= time) entry->first->on_expiry();
    entry = entry->first->finished() ? connections_.erase(entry) : std::next(entry);
  }
}

int H3Server::poll_timeout() const {
  ngtcp2_tstamp earliest = UINT64_MAX;
  for (const auto& [connection, owner] : connections_)
    earliest = std::min(earliest, connection->finished() ? 0 : connection->expiry());
  if (earliest == UINT64_MAX) return -1;
  const auto time = now();
  if (earliest <= time) return 0;
  return static_cast<int>(
      std::min<ngtcp2_tstamp>((earliest - time) / NGTCP2_MILLISECONDS + 1, 60'000));
}

void H3Server::add_cid(const Octets& cid, Connection& connection) {
  by_cid_[cid] = &connection;
}

void H3Server::remove_cid(const Octets& cid) {
  by_cid_.erase(cid);
}

void H3Server::send(const ngtcp2_path& path, std::span<const std::uint8_t> packet) {
  for (const auto& socket : sockets_)
    if (socket.serves(path.local.addr)) {
      if (!socket.send(path.local.addr, path.remote.addr, path.remote.addrlen, packet))
        ++counters_.send_errors;
      return;
    }
  ++counters_.send_errors;
}

JsonObject H3Server::event(std::string_view kind) const {
  JsonObject object;
  object.add("event", kind).add("server", settings_.name);
  return object;
}

}  // namespace peer
