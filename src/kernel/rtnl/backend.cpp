#include <fmt/format.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <algorithm>
#include <array>
#include <optional>
#include <variant>

#include "announce.hpp"
#include "lbctl/kernel/rtnl.hpp"
#include "socket.hpp"
#include "tcp_sockets.hpp"

namespace lbctl::kernel {
namespace {

using rtnl::Address;
using rtnl::Link;

/// What the kernel's refusal of an address means.
Error refusal(const Error& error, const model::AddressKey& key, std::string_view verb) {
  const std::string step = fmt::format("rtnl: {} {}", verb, key.text());
  Error told = Error(error).during(step);
  switch (error.sys()) {
    case EEXIST:
      return Error(Errc::conflict, step + ": the address is there already", EEXIST)
          .with_hint(fmt::format("ip addr show dev {}", key.device));
    case EACCES:
      // addrconf's answer on a device whose IPv6 is turned off; a missing capability is EPERM.
      return std::move(told).with_hint(
          fmt::format("sysctl -w net.ipv6.conf.{}.disable_ipv6=0", key.device));
    case EPERM:
      return std::move(told).with_hint("run as root (CAP_NET_ADMIN)");
    case EOPNOTSUPP:
    case EAFNOSUPPORT:
      return std::move(told).with_hint("this kernel has no IPv6 (CONFIG_IPV6, ipv6.disable=1)");
    default:
      return told;
  }
}

class RtnlBackend final : public Backend {
 public:
  model::Subsystem subsystem() const override { return model::Subsystem::rtnl; }

  Result<> observe(const model::Scope& scope, model::Observed& out) override {
    if (!scope.sockets.empty()) {
      auto counted = rtnl::count_tcp_sockets(scope.sockets);
      if (!counted) return fail(std::move(counted.error()));
      out.sockets = std::move(*counted);
    }
    if (!scope.addresses) return {};
    const auto socket = open();
    if (!socket) return fail(socket.error());
    const auto addresses = read_addresses(**socket);
    if (!addresses) return fail(addresses.error());
    out.state.addresses.clear();
    for (const Address& address : *addresses) {
      std::array<char, IF_NAMESIZE> device{};
      if (if_indextoname(address.device, device.data()) == nullptr) continue;  // gone meanwhile
      out.state.addresses[{
          .device = device.data(), .address = address.address, .prefix = address.prefix}] = {
          .protocol = address.protocol, .announce = false};
    }
    return {};
  }

  Outcome execute(std::span<const model::Operation> run) override {
    Outcome outcome;
    const auto socket = open();
    if (!socket) {
      outcome.error = socket.error();
      return outcome;
    }
    for (const model::Operation& operation : run) {
      auto done = execute_one(**socket, operation.action, outcome.notes);
      if (!done) {
        outcome.error = std::move(done).error();
        break;
      }
      ++outcome.done;
    }
    return outcome;
  }

 private:
  /// The socket, open from the first use on; never null.
  Result<rtnl::Socket*> open() {
    if (!socket_) {
      auto opened = rtnl::Socket::open();
      if (!opened) return fail(std::move(opened).error().during("rtnl"));
      socket_.emplace(std::move(*opened));
    }
    return &*socket_;
  }

  static Result<std::vector<Address>> read_addresses(rtnl::Socket& socket) {
    auto all = socket.dump<Address>(RTM_GETADDR, rtnl::decode_address);
    if (!all) return fail(std::move(all).error().during("rtnl: read the addresses"));
    return all;
  }

  static Result<Link> find_link(rtnl::Socket& socket, const model::AddressKey& key,
                                std::string_view verb) {
    auto links = socket.dump<Link>(RTM_GETLINK, rtnl::decode_link);
    if (!links) return fail(std::move(links).error().during("rtnl: read the devices"));
    const auto found = std::ranges::find(*links, key.device, &Link::name);
    if (found == links->end())
      return fail(
          Error(Errc::not_found,
                fmt::format("rtnl: {} {}: there is no device {}", verb, key.text(), key.device),
                ENODEV)
              .with_hint("ip link"));
    return *found;
  }

  static Result<> execute_one(rtnl::Socket& socket, const model::Action& action,
                              std::vector<std::string>& notes) {
    if (const auto* add = std::get_if<model::AddAddress>(&action))
      return add_one(socket, *add, notes);
    if (const auto* remove = std::get_if<model::RemoveAddress>(&action))
      return remove_one(socket, *remove);
    return fail(Errc::invalid,
                fmt::format("rtnl: an operation for subsystem {}", name(subsystem_of(action))));
  }

  static Result<> add_one(rtnl::Socket& socket, const model::AddAddress& add,
                          std::vector<std::string>& notes) {
    const auto link = find_link(socket, add.key, "add");
    if (!link) return fail(link.error());
    const Address address{.device = link->facts.index,
                          .address = add.key.address,
                          .prefix = add.key.prefix,
                          .protocol = add.settings.protocol};
    const auto message = rtnl::encode_add_address(address, link->loopback);
    if (!message) return fail(message.error());
    const std::uint16_t how = add.stands ? NLM_F_REPLACE : NLM_F_CREATE | NLM_F_EXCL;
    if (auto done = socket.change(*message, how); !done)
      return fail(refusal(done.error(), add.key, "add"));
    if (add.stands)
      if (auto marked = insist_on_mark(socket, address, *message, add.key); !marked) return marked;
    if (!link->facts.up)
      notes.push_back(fmt::format(
          "{}: the device is down, the node cannot use the address; mend: ip link set {} up",
          add.key.text(), add.key.device));
    if (add.settings.announce) announce(*link, add.key, notes);
    return {};
  }

  static Result<std::optional<Address>> find_address(rtnl::Socket& socket, std::uint32_t device,
                                                     const model::AddressKey& key) {
    const auto all = read_addresses(socket);
    if (!all) return fail(all.error());
    const auto found = std::ranges::find_if(*all, [&](const Address& address) {
      return address.device == device && address.address == key.address &&
             address.prefix == key.prefix;
    });
    return found == all->end() ? std::nullopt : std::optional(*found);
  }

  /// Linux 6.1 replaces an IPv4 address without taking its new protocol: it has to go and come
  /// again. It is nobody's primary address, having the whole length, so no other goes with it.
  static Result<> insist_on_mark(rtnl::Socket& socket, const Address& wanted,
                                 const rtnl::Message& message, const model::AddressKey& key) {
    const auto found = find_address(socket, wanted.device, key);
    if (!found) return fail(found.error());
    if (!*found || (*found)->protocol == wanted.protocol) return {};
    const auto removal = rtnl::encode_remove_address(**found);
    if (!removal) return fail(removal.error());
    if (auto done = socket.change(*removal, 0); !done)
      return fail(refusal(done.error(), key, "mark"));
    if (auto done = socket.change(message, NLM_F_CREATE | NLM_F_EXCL); !done)
      return fail(refusal(done.error(), key, "mark"));
    return {};
  }

  static void announce(const Link& link, const model::AddressKey& key,
                       std::vector<std::string>& notes) {
    if (!link.arp || !link.facts.up) {
      notes.push_back(
          fmt::format("{}: not announced: {}", key.text(),
                      link.arp ? "the device is down" : "the device has no neighbours"));
      return;
    }
    if (const auto sent = rtnl::announce(link.facts.index, key.address, link.facts.mac); !sent)
      notes.push_back(fmt::format("{}: not announced: {}", key.text(), sent.error().text()));
  }

  static Result<> remove_one(rtnl::Socket& socket, const model::RemoveAddress& remove) {
    const auto link = find_link(socket, remove.key, "remove");
    if (!link) return fail(link.error());
    const auto looked = find_address(socket, link->facts.index, remove.key);
    if (!looked) return fail(looked.error());
    const auto& found = *looked;
    const std::string step = fmt::format("rtnl: remove {}", remove.key.text());
    if (!found) return fail(Errc::not_found, step + ": the address is not there", EADDRNOTAVAIL);
    if (found->protocol != model::rtnl_protocol)
      return fail(Error(Errc::conflict, fmt::format("{}: it is not lbctl's (protocol {}, not {})",
                                                    step, found->protocol, model::rtnl_protocol))
                      .with_hint(fmt::format("ip addr del {}", remove.key.text())));
    const auto message = rtnl::encode_remove_address(*found);
    if (!message) return fail(message.error());
    if (auto done = socket.change(*message, 0); !done)
      return fail(refusal(done.error(), remove.key, "remove"));
    return {};
  }

  std::optional<rtnl::Socket> socket_;
};

}  // namespace

Result<std::unique_ptr<Backend>> open_rtnl() {
  return std::make_unique<RtnlBackend>();
}

}  // namespace lbctl::kernel
