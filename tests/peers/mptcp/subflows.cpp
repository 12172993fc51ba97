#include "mptcp/subflows.hpp"

#include <fmt/format.h>
#include <linux/mptcp.h>
#include <linux/tcp.h>

#include <algorithm>
#include <array>
#include <span>

#include "common/address.hpp"

#ifndef SOL_MPTCP
#define SOL_MPTCP 284  // include/linux/socket.h; not in the C library's headers of Debian 12
#endif

#ifndef MPTCP_FULL_INFO  // include/uapi/linux/mptcp.h of Linux 6.6; the headers here are older
#define MPTCP_FULL_INFO 4
struct mptcp_subflow_info {
  __u32 id;
  mptcp_subflow_addrs addrs;
};
struct mptcp_full_info {
  __u32 size_tcpinfo_kernel;  // set by the kernel, like every size_…_kernel
  __u32 size_tcpinfo_user;
  __u32 size_sfinfo_kernel;
  __u32 size_sfinfo_user;
  __u32 num_subflows;      // set by the kernel: how many there are
  __u32 size_arrays_user;  // how many fit into the two arrays
  __aligned_u64 subflow_info;
  __aligned_u64 tcp_info;
  struct mptcp_info mptcp_info;
};
#endif

namespace peer {
namespace {

constexpr std::size_t max_subflows = 32;  // the kernel allows 8 more than the first at most

/// tcpi_state of TCP_INFO, values of include/net/tcp_states.h.
std::string state_name(unsigned state) {
  static constexpr std::array names = {
      "?",     "established", "syn_sent", "syn_recv", "fin_wait1", "fin_wait2",   "time_wait",
      "close", "close_wait",  "last_ack", "listen",   "closing",   "new_syn_recv"};
  return state < names.size() ? names[state] : fmt::format("state {}", state);
}

Subflow describe(const mptcp_subflow_addrs& addresses, const tcp_info& info) {
  return {to_string(&addresses.sa_local), to_string(&addresses.sa_remote),
          state_name(info.tcpi_state)};
}

/// Addresses and states in one call, so they belong together. False before Linux 6.6.
bool read_full_info(int socket, std::vector<Subflow>& subflows) {
  std::array<mptcp_subflow_info, max_subflows> flows{};
  std::array<tcp_info, max_subflows> states{};
  mptcp_full_info full{};
  full.size_tcpinfo_user = sizeof(tcp_info);
  full.size_sfinfo_user = sizeof(mptcp_subflow_info);
  full.size_arrays_user = max_subflows;
  full.subflow_info = reinterpret_cast<std::uintptr_t>(flows.data());
  full.tcp_info = reinterpret_cast<std::uintptr_t>(states.data());
  socklen_t length = sizeof full;
  if (getsockopt(socket, SOL_MPTCP, MPTCP_FULL_INFO, &full, &length) != 0) return false;
  for (std::size_t i = 0; i < std::min<std::size_t>(full.num_subflows, max_subflows); ++i)
    subflows.push_back(describe(flows[i].addrs, states[i]));
  return true;
}

/// The layout of MPTCP_TCPINFO and MPTCP_SUBFLOW_ADDRS: a header, then one element a subflow.
template <class Element>
struct SubflowTable {
  mptcp_subflow_data header{};
  std::array<Element, max_subflows> elements{};

  bool read(int socket, int option) {
    *this = {};
    header.size_subflow_data = sizeof header;
    header.size_user = sizeof(Element);
    socklen_t length = sizeof *this;
    return getsockopt(socket, SOL_MPTCP, option, this, &length) == 0;
  }
};

/// Linux 5.16 to 6.5: two calls, both in the order of the kernel's list. The list may change
/// between them, so it is read again until two readings of the addresses agree.
void read_two_tables(int socket, std::vector<Subflow>& subflows) {
  SubflowTable<mptcp_subflow_addrs> before, after;
  SubflowTable<tcp_info> states;
  for (int attempt = 0; attempt < 10; ++attempt) {
    if (!before.read(socket, MPTCP_SUBFLOW_ADDRS) || !states.read(socket, MPTCP_TCPINFO) ||
        !after.read(socket, MPTCP_SUBFLOW_ADDRS))
      return;
    const auto count = std::min<std::size_t>(before.header.num_subflows, max_subflows);
    std::vector<Subflow> first, second;
    for (std::size_t i = 0; i < count; ++i) {
      first.push_back(describe(before.elements[i], states.elements[i]));
      second.push_back(describe(after.elements[i], states.elements[i]));
    }
    const auto same = [](const Subflow& a, const Subflow& b) {
      return a.local == b.local && a.remote == b.remote;
    };
    if (before.header.num_subflows == after.header.num_subflows &&
        before.header.num_subflows == states.header.num_subflows &&
        std::ranges::equal(first, second, same)) {
      subflows = std::move(first);
      return;
    }
  }
}

/// A plain TCP connection is its own only flow.
Subflow plain_tcp(int socket) {
  SocketAddress local, remote;
  tcp_info info{};
  socklen_t info_length = sizeof info;
  local.length = remote.length = sizeof(sockaddr_storage);
  getsockname(socket, local.get(), &local.length);
  getpeername(socket, remote.get(), &remote.length);
  getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &info_length);
  return {to_string(local), to_string(remote), state_name(info.tcpi_state)};
}

}  // namespace

std::size_t SocketReport::established() const {
  return static_cast<std::size_t>(
      std::ranges::count(subflows, std::string("established"), &Subflow::state));
}

void SocketReport::add_to(JsonObject& object) const {
  std::vector<JsonObject> flows;
  for (const auto& flow : subflows)
    flows.emplace_back()
        .add("local", flow.local)
        .add("remote", flow.remote)
        .add("state", flow.state);
  object.add("fallback", fallback)
      .add("token", token)
      .add("established", established())
      .add("subflows", flows);
}

SocketReport inspect(int socket) {
  SocketReport report;
  mptcp_info info{};
  socklen_t length = sizeof info;
  // A connection that fell back, and a TCP socket, know no SOL_MPTCP option (EOPNOTSUPP).
  if (getsockopt(socket, SOL_MPTCP, MPTCP_INFO, &info, &length) == 0) {
    report.fallback = (info.mptcpi_flags & MPTCP_INFO_FLAG_FALLBACK) != 0;
    report.token = info.mptcpi_token;
  }
  if (report.fallback)
    report.subflows.push_back(plain_tcp(socket));
  else if (!read_full_info(socket, report.subflows))
    read_two_tables(socket, report.subflows);
  return report;
}

}  // namespace peer
