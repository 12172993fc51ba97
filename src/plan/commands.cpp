#include "lbctl/plan/commands.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>

#include "lbctl/plan/render.hpp"

namespace lbctl::plan {

using namespace model;

namespace {

using Lines = std::vector<std::string>;

/// One word of a shell's command line.
std::string word(const std::string& text) {
  constexpr std::string_view plain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:@%+=,-";
  if (!text.empty() && text.find_first_not_of(plain) == std::string::npos) return text;
  std::string out = "'";
  for (const char c : text)
    c == '\'' ? out += "'\\''" : out += c;
  return out + "'";
}

/// ipvsadm's words for a service: "-t 192.0.2.100:443", "-f 7 -6".
std::string service_words(const ServiceKey& key) {
  // -6 is only taken after -f.
  if (key.fwmark != 0) return fmt::format("-f {}{}", key.fwmark, key.address.is_v4() ? "" : " -6");
  return fmt::format("{} {}", key.protocol == L4::tcp ? "-t" : "-u",
                     word(endpoint_text(key.address, key.port)));
}

/// For IPv4 a mask with dots, for IPv6 the length itself.
std::string mask_words(Family family, std::uint8_t prefix) {
  if (family == Family::v6) return fmt::to_string(prefix);
  const std::uint32_t bits = prefix == 0 ? 0 : ~std::uint32_t{0} << (32 - prefix);
  return fmt::format("{}.{}.{}.{}", bits >> 24, bits >> 16 & 0xff, bits >> 8 & 0xff, bits & 0xff);
}

/// Every setting: what -E does not name goes back to ipvsadm's default.
std::string settings_words(const ServiceKey& key, const VirtualService& s) {
  std::string out = "-s " + word(s.scheduler);
  if (const auto flags = scheduler_flag_names(s); !flags.empty())
    out += fmt::format(" -b {}", fmt::join(flags, ","));
  if (s.flags.persistent) {
    out += fmt::format(" -p {}", s.persistence_timeout);
    if (s.persistence_prefix != key.address.full_prefix())
      out += " -M " + mask_words(key.address.family(), s.persistence_prefix);
  }
  if (s.flags.one_packet) out += " -o";
  return out;
}

std::string between(const ServiceKey& service, const DestinationKey& destination) {
  return fmt::format("{} -r {}", service_words(service), word(destination.text()));
}

/// `local` has no letter: the kernel makes it of -g where the address is the node's own.
std::string_view forward_letter(Forward forward) {
  switch (forward) {
    case Forward::masquerade:
      return "-m";
    case Forward::tunnel:
      return "-i";
    case Forward::local:
    case Forward::route:
      return "-g";
  }
  return "-g";
}

/// ipvsadm's words for anything but plain ipip.
std::string tunnel_words(const Tunnel& t) {
  if (t == Tunnel{}) return "";
  std::string out = fmt::format(" --tun-type {}", name(t.type));
  if (t.type == TunnelType::gue) out += fmt::format(" --tun-port {}", number(t.port));
  if (t.checksum == TunnelChecksum::full) out += " --tun-csum";
  if (t.checksum == TunnelChecksum::remote) out += " --tun-remcsum";
  return out;
}

/// Every setting: what -e does not name goes back to ipvsadm's default.
std::string settings_words(const Destination& d) {
  std::string out = fmt::format("{}{} -w {}", forward_letter(d.forward), tunnel_words(d.tunnel),
                                number(d.weight));
  if (d.upper_threshold != 0) out += fmt::format(" -x {}", d.upper_threshold);
  if (d.lower_threshold != 0) out += fmt::format(" -y {}", d.lower_threshold);
  return out;
}

std::string address_words(const AddressKey& key) {
  return fmt::format("{}/{} dev {}", key.address.text(), key.prefix, word(key.device));
}

/// What the rtnl backend sets besides: see encode_add_address there.
std::string_view address_extras(const AddressKey& key) {
  if (!key.address.is_v4()) return " nodad preferred_lft 0 valid_lft forever";
  return key.device == "lo" ? " scope host" : "";
}

/// rp_filter as the device's own sysctl: no other command sets it.
Lines tunnel_settings(const std::string& name, const TunnelDevice& d) {
  Lines out;
  if (d.local.is_v4())
    out.push_back("sysctl -w " + word(sysctl_name("net/ipv4/conf/" + name + "/rp_filter") +
                                      fmt::format("={}", d.rp_filter)));
  out.push_back(fmt::format("ip link set {} {}", word(name), d.up ? "up" : "down"));
  return out;
}

Lines add_tunnel_lines(const AddTunnel& a) {
  std::string out = fmt::format("ip link add name {} type {}", word(a.name), name(a.device.kind));
  if (a.device.kind == TunnelKind::ip6tnl) out += " mode ip6ip6";
  out += fmt::format(" local {} remote {}", a.device.local.text(),
                     a.device.remote ? a.device.remote->text() : "any");
  if (a.device.checksum) out += " icsum";
  Lines lines{out};
  for (std::string& line : tunnel_settings(a.name, a.device))
    lines.push_back(std::move(line));
  return lines;
}

/// The lines of one operation. nft operations are done by the run, XDP ones have none.
struct ToLines {
  Lines operator()(const SetSysctl& a) const {
    return {"sysctl -w " + word(sysctl_name(a.path) + "=" + a.to)};
  }
  Lines operator()(const AddService& a) const {
    return {
        fmt::format("ipvsadm -A {} {}", service_words(a.key), settings_words(a.key, a.service))};
  }
  Lines operator()(const EditService& a) const {
    return {fmt::format("ipvsadm -E {} {}", service_words(a.key), settings_words(a.key, a.to))};
  }
  Lines operator()(const RemoveService& a) const { return {"ipvsadm -D " + service_words(a.key)}; }
  Lines operator()(const AddDestination& a) const {
    return {
        fmt::format("ipvsadm -a {} {}", between(a.service, a.key), settings_words(a.destination))};
  }
  Lines operator()(const EditDestination& a) const {
    return {fmt::format("ipvsadm -e {} {}", between(a.service, a.key), settings_words(a.to))};
  }
  Lines operator()(const RemoveDestination& a) const {
    return {"ipvsadm -d " + between(a.service, a.key)};
  }
  Lines operator()(const AddAddress& a) const {
    // The mark is all that is missing, and only a newer ip can set it.
    if (a.stands) return {"# marked as lbctl's: " + address_words(a.key)};
    Lines out{fmt::format("ip address add {}{}", address_words(a.key), address_extras(a.key))};
    // As with lbctl, an announcement that fails stops nothing.
    if (a.settings.announce && a.key.address.is_v4())
      out.push_back(fmt::format("arping -q -U -c 1 -I {} {} || true", word(a.key.device),
                                a.key.address.text()));
    return out;
  }
  Lines operator()(const RemoveAddress& a) const {
    return {"ip address delete " + address_words(a.key)};
  }
  Lines operator()(const AddEndpoint& a) const {
    std::string out = "ip mptcp endpoint add " + a.key.address.text();
    if (!a.endpoint.device.empty()) out += " dev " + word(a.endpoint.device);
    if (number(a.key.port) != 0) out += fmt::format(" port {}", number(a.key.port));
    Endpoint flags = a.endpoint;
    flags.device.clear();
    return {out + (flags.text().empty() ? "" : " " + flags.text())};
  }
  Lines operator()(const RemoveEndpoint& a) const {
    return {fmt::format("ip mptcp endpoint delete id {}", a.endpoint.id)};
  }
  Lines operator()(const SetEndpoint& a) const {
    return {fmt::format("ip mptcp endpoint change id {} {}", a.from.id,
                        a.to.backup ? "backup" : "nobackup")};
  }
  Lines operator()(const SetMptcpLimits& a) const {
    return {fmt::format("ip mptcp limits set subflows {} add_addr_accepted {}", a.to.subflows,
                        a.to.add_addr_accepted)};
  }
  Lines operator()(const SetIpvsTimeouts& a) const {
    // 0 leaves a timeout as it is.
    return {fmt::format("ipvsadm --set {} {} {}", a.to.tcp, a.to.tcp_fin, a.to.udp)};
  }
  Lines operator()(const StartSync& a) const {
    const SyncDaemon& d = a.daemon;
    return {fmt::format(
        "ipvsadm --start-daemon {} --mcast-interface {} --syncid {} --sync-maxlen {} "
        "--mcast-group {} --mcast-port {} --mcast-ttl {}",
        name(a.role), word(d.device), d.id, d.max_length, d.group.text(), number(d.port), d.ttl)};
  }
  Lines operator()(const StopSync& a) const {
    return {fmt::format("ipvsadm --stop-daemon {}", name(a.role))};
  }
  Lines operator()(const AddTunnel& a) const { return add_tunnel_lines(a); }
  Lines operator()(const SetTunnel& a) const { return tunnel_settings(a.name, a.to); }
  Lines operator()(const RemoveTunnel& a) const { return {"ip link delete " + word(a.name)}; }
  Lines operator()(const AddFou& a) const {
    return {fmt::format("ip fou add port {} {}{}", number(a.key.port),
                        a.port.gue ? "gue" : "ipproto 4", a.key.family == Family::v4 ? "" : " -6")};
  }
  Lines operator()(const RemoveFou& a) const {
    return {fmt::format("ip fou del port {}{}", number(a.key.port),
                        a.key.family == Family::v4 ? "" : " -6")};
  }
  Lines operator()(const CreateForward&) const { return {}; }
  Lines operator()(const RemoveForward&) const { return {}; }
  Lines operator()(const SetSignal&) const { return {}; }
  Lines operator()(const RemoveSignal&) const { return {}; }
  Lines operator()(const CreateMarks&) const { return {}; }
  Lines operator()(const RemoveMarks&) const { return {}; }
  Lines operator()(const SetMark&) const { return {}; }
  Lines operator()(const RemoveMark&) const { return {}; }
  Lines operator()(const SetSteeredService&) const { return {}; }
  Lines operator()(const RemoveSteeredService&) const { return {}; }
  Lines operator()(const SetSteerTarget&) const { return {}; }
  Lines operator()(const RemoveSteerTarget&) const { return {}; }
  Lines operator()(const AttachXdp&) const { return {}; }
  Lines operator()(const DetachXdp&) const { return {}; }
  Lines operator()(const MptcpizeUnit& a) const {
    return {fmt::format("lbctl mptcpize --way {} {}", name(a.to.way), word(a.unit))};
  }
  Lines operator()(const RestoreUnit& a) const { return {"lbctl mptcpize --undo " + word(a.unit)}; }
};

template <class... Kinds>
bool is_any(const Operation& operation) {
  return (std::holds_alternative<Kinds>(operation.action) || ...);
}

bool silent_announcement(const Operation& operation) {
  const auto* add = std::get_if<AddAddress>(&operation.action);
  return add != nullptr && add->settings.announce && !add->key.address.is_v4();
}

void address_notes(std::span<const Operation> run, Lines& out) {
  if (std::ranges::any_of(run, is_any<AddAddress>))
    out.push_back(fmt::format(
        "# An ip newer than Debian 12's also takes \"proto {}\", lbctl's mark.", rtnl_protocol));
  if (std::ranges::any_of(run, silent_announcement))
    out.emplace_back(
        "# lbctl announces the IPv6 ones too, by unsolicited NA; the usual tools send none.");
}

void nft_lines(std::span<const Operation> run, Lines& out) {
  const Lines statements = nft_statements(run);
  if (statements.empty()) return;
  out.emplace_back("# nftables: one transaction");
  out.push_back(fmt::format("nft -f - <<'END'\n{}\nEND", fmt::join(statements, "\n")));
}

void xdp_lines(std::span<const Operation> run, Lines& out) {
  out.emplace_back(
      "# QUIC steering: no command does this. bpftool would need lbctl's own BPF object and the");
  out.emplace_back("# layout of its tables. What lbctl apply does:");
  for (const Operation& operation : run)
    out.push_back("#   " + render_line(operation));
}

void run_lines(std::span<const Operation> run, Lines& out) {
  switch (subsystem_of(run.front().action)) {
    case Subsystem::nft:
      return nft_lines(run, out);
    case Subsystem::xdp:
      return xdp_lines(run, out);
    case Subsystem::sysctl:
      out.emplace_back("# sysctls");
      break;
    case Subsystem::ipvs:
      out.emplace_back("# IPVS services and destinations");
      break;
    case Subsystem::rtnl:
      out.emplace_back("# addresses");
      address_notes(run, out);
      break;
    case Subsystem::mptcp:
      out.emplace_back("# MPTCP path manager");
      break;
    case Subsystem::tunnel:
      out.emplace_back("# tunnel ends");
      break;
    case Subsystem::unit:
      out.emplace_back(
          "# Services that listen with MPTCP; one that runs does when it is restarted.");
      out.emplace_back("# These lines make it a wish of the hand, which no apply takes back.");
      break;
  }
  for (const Operation& operation : run)
    std::ranges::move(std::visit(ToLines{}, operation.action), std::back_inserter(out));
}

}  // namespace

std::vector<std::string> commands(std::span<const Operation> operations) {
  Lines out;
  if (std::ranges::any_of(operations,
                          is_any<AddService, AddAddress, AddEndpoint, AddTunnel, StartSync>)) {
    out.emplace_back(
        "# Services, addresses and MPTCP endpoints that these lines make are not lbctl's: it keeps "
        "no");
    out.emplace_back(
        "# record of them and will call them foreign; lbctl apply --adopt takes them.");
  }
  // A run of one subsystem's operations, as the engine hands them to its backend.
  while (!operations.empty()) {
    const Subsystem subsystem = subsystem_of(operations.front().action);
    const auto end = std::ranges::find_if(
        operations, [&](const Operation& o) { return subsystem_of(o.action) != subsystem; });
    const auto length = static_cast<std::size_t>(end - operations.begin());
    run_lines(operations.first(length), out);
    operations = operations.subspan(length);
  }
  return out;
}

}  // namespace lbctl::plan
