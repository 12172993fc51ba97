#include "lbctl/kernel/facts.hpp"

#include <fmt/format.h>
#include <limits.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <unistd.h>

#include <array>

#include "socket.hpp"

namespace lbctl::kernel {
namespace {

using model::IpAddress;
using model::MacAddress;
using Macs = std::map<IpAddress, MacAddress>;

Result<Macs> resolved_on(rtnl::Socket& socket, std::uint32_t device,
                         const std::set<IpAddress>& addresses) {
  const auto all = socket.dump<rtnl::Neighbour>(RTM_GETNEIGH, rtnl::decode_neighbour);
  if (!all) return fail(Error(all.error()).during("read the neighbours"));
  Macs out;
  for (const rtnl::Neighbour& one : *all)
    if (one.device == device && one.resolved() && addresses.contains(one.address))
      out[one.address] = one.mac;
  return out;
}

}  // namespace

Result<model::NodeFacts> read_facts() {
  model::NodeFacts facts;
  std::array<char, HOST_NAME_MAX + 1> name{};
  if (::gethostname(name.data(), name.size() - 1) == 0) facts.host_name = name.data();
  auto socket = rtnl::Socket::open();
  if (!socket) return fail(std::move(socket).error());
  const auto links = socket->dump<rtnl::Link>(RTM_GETLINK, rtnl::decode_link);
  if (!links) return fail(Error(links.error()).during("read the devices"));
  for (const rtnl::Link& link : *links)
    facts.links[link.name] = link.facts;
  const auto addresses = socket->dump<rtnl::Address>(RTM_GETADDR, rtnl::decode_address);
  if (!addresses) return fail(Error(addresses.error()).during("read the addresses"));
  for (const rtnl::Address& address : *addresses)
    facts.local_addresses.insert(address.address);
  const auto neighbours = socket->dump<rtnl::Neighbour>(RTM_GETNEIGH, rtnl::decode_neighbour);
  if (!neighbours) return fail(Error(neighbours.error()).during("read the neighbours"));
  for (const rtnl::Neighbour& one : *neighbours)
    if (one.resolved()) facts.neighbours[one.address] = one.mac;
  return facts;
}

Result<std::map<IpAddress, model::NextHop>> find_next_hops(const std::set<IpAddress>& addresses) {
  std::map<IpAddress, model::NextHop> out;
  if (addresses.empty()) return out;
  auto socket = rtnl::Socket::open();
  if (!socket) return fail(std::move(socket).error());
  for (const IpAddress& address : addresses) {
    const auto question = rtnl::encode_ask_route(address);
    if (!question) return fail(question.error());
    std::optional<rtnl::Route> route;
    // Unreachable is an answer too: there is no route then.
    const auto asked = socket->ask(*question, [&](const nlmsghdr& message) {
      if (auto one = rtnl::decode_route(message)) route = *one;
    });
    std::array<char, IF_NAMESIZE> name{};
    if (asked && route && if_indextoname(route->device, name.data()) != nullptr)
      out[address] = {name.data(), route->gateway.value_or(address)};
  }
  return out;
}

Result<Macs> resolve_neighbours(const std::string& device, const std::set<IpAddress>& addresses,
                                std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  const std::uint32_t index = if_nametoindex(device.c_str());
  if (index == 0) return fail_errno(fmt::format("resolve neighbours on device {}", device));
  auto news = rtnl::Socket::open();
  auto socket = rtnl::Socket::open();
  if (!news) return fail(std::move(news).error());
  if (!socket) return fail(std::move(socket).error());
  // Before the first look, so that no answer falls between looking and listening.
  if (auto listens = news->listen_to_neighbours(); !listens)
    return fail(std::move(listens).error());
  auto found = resolved_on(*socket, index, addresses);
  if (!found) return found;
  for (const IpAddress& address : addresses) {
    if (found->contains(address)) continue;
    const auto message = rtnl::encode_use_neighbour(index, address);
    if (!message) return fail(message.error());
    if (auto asked = socket->change(*message, NLM_F_CREATE); !asked)
      return fail(std::move(asked).error().during(
          fmt::format("resolve neighbour {} dev {}", address.text(), device)));
  }
  while (found->size() < addresses.size() && std::chrono::steady_clock::now() < deadline) {
    news->wait_for_news(deadline);
    found = resolved_on(*socket, index, addresses);
    if (!found) return found;
  }
  return found;
}

}  // namespace lbctl::kernel
