#include <fmt/format.h>
#include <linux/fou.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <optional>
#include <variant>

#include "lbctl/kernel/tunnel.hpp"
#include "socket.hpp"
#include "tunnel_codec.hpp"

namespace lbctl::kernel {
namespace {

using rtnl::TunnelLink;

std::string module_of(model::TunnelKind kind) {
  switch (kind) {
    case model::TunnelKind::ipip:
      return "ipip";
    case model::TunnelKind::ip6tnl:
      return "ip6_tunnel";
    case model::TunnelKind::gre:
      return "ip_gre";
    case model::TunnelKind::ip6gre:
      return "ip6_gre";
  }
  return "";
}

Error refusal(const Error& error, const std::string& step, const std::string& module) {
  Error told = Error(error).during(step);
  switch (error.sys()) {
    case EEXIST:
      return Error(Errc::conflict, step + ": another device has that name or these ends", EEXIST)
          .with_hint("ip -d link show type " + module);
    case EOPNOTSUPP:
    case ENOENT:
      return Error(Errc::unsupported, step + ": this kernel lacks it", error.sys())
          .with_hint("modprobe " + module);
    case EADDRINUSE:
      return std::move(told).with_hint("a program has that UDP port already (ss -lunp)");
    case EPERM:
      return std::move(told).with_hint("run as root (CAP_NET_ADMIN)");
    default:
      return told;
  }
}

class Tunnels final : public Backend {
 public:
  explicit Tunnels(genl::Socket fou) : fou_(std::move(fou)) {}

  model::Subsystem subsystem() const override { return model::Subsystem::tunnel; }

  Result<> observe(const model::Scope& scope, model::Observed& out) override {
    if (!scope.tunnels) return {};
    out.state.tunnels = {};
    auto links = list();
    if (!links) return fail(std::move(links.error()));
    for (TunnelLink& link : *links)
      out.state.tunnels.devices.insert_or_assign(link.name, std::move(link.device));
    return read_ports(out.state.tunnels);
  }

  Outcome execute(std::span<const model::Operation> run) override {
    Outcome outcome;
    for (const model::Operation& operation : run) {
      auto done = execute_one(operation.action, outcome.notes);
      if (!done) {
        outcome.error = std::move(done.error());
        break;
      }
      ++outcome.done;
    }
    return outcome;
  }

 private:
  Result<rtnl::Socket*> open() {
    if (!links_) {
      auto opened = rtnl::Socket::open();
      if (!opened) return fail(std::move(opened).error().during("tunnels"));
      links_.emplace(std::move(*opened));
    }
    return &*links_;
  }

  Result<std::vector<TunnelLink>> list() {
    const auto socket = open();
    if (!socket) return fail(socket.error());
    auto all = (*socket)->dump<TunnelLink>(RTM_GETLINK, rtnl::decode_tunnel);
    if (!all) return fail(std::move(all).error().during("read the tunnel devices"));
    return all;
  }

  Result<std::optional<TunnelLink>> find(const std::string& name) {
    auto all = list();
    if (!all) return fail(std::move(all.error()));
    const auto found = std::ranges::find(*all, name, &TunnelLink::name);
    return found == all->end() ? std::nullopt : std::optional(*found);
  }

  /// 0 if the kernel has no fou. Asking loads the module.
  std::uint16_t fou_family() {
    if (family_ == 0) family_ = fou_.family(FOU_GENL_NAME).value_or(std::uint16_t{0});
    return family_;
  }

  Result<> read_ports(model::TunnelState& out) {
    if (fou_family() == 0) return {};
    auto request = rtnl::encode_list_fou();
    if (!request) return fail(std::move(request.error()));
    auto read = fou_.dump(family_, *request,
                          {.start = [&] { out.ports.clear(); },
                           .message = [&](const nlmsghdr& message) -> Result<> {
                             auto entry = rtnl::decode_fou(message);
                             if (!entry) return fail(std::move(entry.error()));
                             out.ports.insert_or_assign(entry->key, entry->port);
                             return {};
                           }});
    if (!read) return fail(std::move(read.error()).during("read the foo-over-UDP ports"));
    return {};
  }

  Result<> execute_one(const model::Action& action, std::vector<std::string>& notes) {
    if (const auto* add = std::get_if<model::AddTunnel>(&action)) return add_one(*add);
    if (const auto* set = std::get_if<model::SetTunnel>(&action))
      return set_one(set->name, set->to);
    if (const auto* remove = std::get_if<model::RemoveTunnel>(&action))
      return remove_one(*remove, notes);
    if (const auto* add = std::get_if<model::AddFou>(&action))
      return send("add " + add->key.text(), rtnl::encode_add_fou(add->key, add->port));
    if (const auto* remove = std::get_if<model::RemoveFou>(&action))
      return remove_port(remove->key, notes);
    return fail(Errc::invalid, "this is not an operation on tunnels");
  }

  Result<> change(const Result<rtnl::Message>& message, std::uint16_t flags,
                  const std::string& step, const std::string& module) {
    if (!message) return fail(message.error());
    const auto socket = open();
    if (!socket) return fail(socket.error());
    if (auto done = (*socket)->change(*message, flags); !done)
      return fail(refusal(done.error(), step, module));
    return {};
  }

  Result<> add_one(const model::AddTunnel& add) {
    const std::string step = fmt::format("add tunnel device {}", add.name);
    if (auto made = change(rtnl::encode_add_tunnel(add.name, add.device), NLM_F_CREATE | NLM_F_EXCL,
                           step, module_of(add.device.kind));
        !made)
      return made;
    return set_one(add.name, add.device);
  }

  Result<> set_one(const std::string& name, const model::TunnelDevice& device) {
    const std::string step = fmt::format("set tunnel device {}", name);
    const auto link = find(name);
    if (!link) return fail(link.error());
    if (!*link) return fail(Errc::not_found, step + ": it is gone", ENODEV);
    return change(rtnl::encode_set_tunnel((*link)->index, device), 0, step, module_of(device.kind));
  }

  Result<> remove_one(const model::RemoveTunnel& remove, std::vector<std::string>& notes) {
    const std::string step = fmt::format("remove tunnel device {}", remove.name);
    const auto link = find(remove.name);
    if (!link) return fail(link.error());
    if (!*link) {
      notes.push_back(step + ": was already gone");
      return {};
    }
    return change(rtnl::encode_remove_tunnel((*link)->index), 0, step,
                  module_of(remove.device.kind));
  }

  Result<> send(const std::string& step, Result<genl::Message> message) {
    if (!message) return fail(std::move(message.error()).during(step));
    if (fou_family() == 0)
      return fail(Error(Errc::unsupported, step + ": this kernel has no foo-over-UDP")
                      .with_hint("modprobe fou (kernel option CONFIG_NET_FOU)"));
    auto failures = fou_.transact(family_, {&*message, 1});
    if (!failures) return fail(std::move(failures.error()).during(step));
    if (failures->empty()) return {};
    const genl::Verdict& verdict = failures->front().verdict;
    return fail(refusal(Error::from_errno(verdict.sys, verdict.words), step, "fou"));
  }

  Result<> remove_port(const model::FouKey& key, std::vector<std::string>& notes) {
    model::TunnelState now;
    if (auto read = read_ports(now); !read) return read;
    if (!now.ports.contains(key)) {
      notes.push_back(fmt::format("remove {}: was already gone", key.text()));
      return {};
    }
    return send("remove " + key.text(), rtnl::encode_remove_fou(key));
  }

  genl::Socket fou_;
  std::uint16_t family_ = 0;
  std::optional<rtnl::Socket> links_;
};

}  // namespace

Result<std::unique_ptr<Backend>> open_tunnels() {
  auto socket = genl::Socket::open();
  if (!socket) return fail(std::move(socket.error()));
  return std::make_unique<Tunnels>(std::move(*socket));
}

}  // namespace lbctl::kernel
