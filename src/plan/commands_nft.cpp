// The nft operations as nft(8) takes them. The text of the tables is that of the files in rules/,
// where the reasons stand; a test keeps the two equal.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "commands_nft.hpp"
#include "lbctl/plan/commands.hpp"

namespace lbctl::plan {

using namespace model;

namespace {

constexpr const char* table = "netdev lbctl";

constexpr const char* icmp_sets = R"(	set icmp4 {
		type icmp_type
		elements = { echo-reply, destination-unreachable, echo-request, time-exceeded, parameter-problem }
	}
	set icmp6 {
		type icmpv6_type
		elements = { destination-unreachable, packet-too-big, time-exceeded, parameter-problem, echo-request, echo-reply }
	}
)";
constexpr const char* icmp_error_set = R"(	set icmp_error4 {
		type icmp_type
		elements = { destination-unreachable, time-exceeded, parameter-problem }
	}
)";

constexpr const char* fragment_rules =
    R"(		ip daddr @join_only4 ip frag-off & 8184 == 0 ip frag-off & 7 != 0 counter drop
		ip6 daddr @join_only6 frag frag-off 1-7 counter drop
)";
constexpr const char* whole_rules =
    R"(		ip daddr @whole4 ip frag-off & 8184 == 0 ip frag-off & 7 != 0 counter drop
		ip6 daddr @whole6 frag frag-off 1-7 counter drop
)";
constexpr const char* mptcp_only_rules =
    R"(		ip frag-off & 8191 == 0 ip daddr . tcp dport @mptcp_only4 tcp flags syn / syn,ack tcp option mptcp missing counter drop
		ip6 daddr . tcp dport @mptcp_only6 tcp flags syn / syn,ack tcp option mptcp missing counter drop
)";
constexpr const char* join_rules =
    R"(		ip daddr @join_only4 tcp flags syn / syn,ack tcp option mptcp subtype 1 accept
		ip daddr @join_only4 tcp flags syn / syn,ack counter drop
		ip6 daddr @join_only6 tcp flags syn / syn,ack tcp option mptcp subtype 1 accept
		ip6 daddr @join_only6 tcp flags syn / syn,ack counter drop
		ip frag-off & 8191 == 0 ip daddr . tcp dport @join_only_port4 tcp flags syn / syn,ack tcp option mptcp subtype 1 accept
		ip frag-off & 8191 == 0 ip daddr . tcp dport @join_only_port4 tcp flags syn / syn,ack counter drop
)";

/// Everything of the rules but the device.
constexpr const char* forward_rules[] = {
    "meta pkttype host ip ttl > 1 meta l4proto tcp fwd ip to ip daddr map @signal4",
    "meta pkttype host ip ttl > 1 icmp type @icmp4 fwd ip to ip daddr map @signal4",
    "meta pkttype host ip6 hoplimit > 1 meta l4proto tcp fwd ip6 to ip6 daddr map @signal6",
    "meta pkttype host ip6 hoplimit > 1 icmpv6 type @icmp6 fwd ip6 to ip6 daddr map "
    "@signal6",
    "meta pkttype host ip ttl > 1 ip frag-off & 8191 == 0 fwd ip to "
    "ip daddr . tcp dport map @signal_port4",
    "meta pkttype host ip ttl > 1 ip frag-off & 8191 == 0 icmp type @icmp_error4 @th,64,8 0x45 "
    "@th,136,8 0x6 fwd ip to ip daddr . @th,224,16 map @signal_error4",
};

/// The names of the sets that one signal address or port is in, and its key in them.
struct SignalWords {
  std::vector<std::pair<std::string, std::string>> maps;  ///< with its key there
  std::string join_only, key;
};
SignalWords words_for(const EndpointKey& signal) {
  const std::string address = signal.address.text();
  if (number(signal.port) != 0)
    return {{{"signal_port4", fmt::format("{} . {}", address, number(signal.port))},
             {"signal_error4", fmt::format("{} . {:#x}", address, number(signal.port))}},
            "join_only_port4",
            fmt::format("{} . {}", address, number(signal.port))};
  const int family = signal.address.is_v4() ? 4 : 6;
  return {
      {{fmt::format("signal{}", family), address}}, fmt::format("join_only{}", family), address};
}

/// `brings_home`: the table does more than guard.
std::string address_sets(const std::map<EndpointKey, ForwardTarget>& addresses, bool brings_home) {
  std::map<std::string, std::vector<std::string>> elements;
  for (const auto& [signal, target] : addresses) {
    const SignalWords words = words_for(signal);
    if (target.server)
      for (const auto& [map, key] : words.maps)
        elements[map].push_back(fmt::format("{} counter : {}", key, target.server->text()));
    if (target.join_only) elements[words.join_only].push_back(words.key);
  }
  const std::string join_only =
      set_text("set", "join_only4", "type ipv4_addr", elements["join_only4"]) +
      set_text("set", "join_only6", "type ipv6_addr", elements["join_only6"]);
  const std::string join_only_port = set_text(
      "set", "join_only_port4", "type ipv4_addr . inet_service", elements["join_only_port4"]);
  if (!brings_home) return join_only + join_only_port;
  return set_text("map", "signal4", "type ipv4_addr : ipv4_addr\n\t\tcounter",
                  elements["signal4"]) +
         set_text("map", "signal6", "type ipv6_addr : ipv6_addr\n\t\tcounter",
                  elements["signal6"]) +
         join_only + icmp_sets +
         set_text("map", "signal_port4", "type ipv4_addr . inet_service : ipv4_addr\n\t\tcounter",
                  elements["signal_port4"]) +
         set_text("map", "signal_error4", "typeof ip daddr . @th,224,16 : ip daddr\n\t\tcounter",
                  elements["signal_error4"]) +
         join_only_port + icmp_error_set;
}

std::string ingress_of(const std::set<std::string>& devices) {
  std::vector<std::string> quoted;
  for (const std::string& device : devices)
    quoted.push_back(fmt::format("\"{}\"", device));
  return quoted.size() == 1 ? "device " + quoted.front()
                            : fmt::format("devices = {{ {} }}", fmt::join(quoted, ", "));
}

std::string port_key(const EndpointKey& key) {
  return fmt::format("{} . {}", key.address.text(), number(key.port));
}

std::string targets_set(const std::string& name, bool v4, const std::set<EndpointKey>& to) {
  std::vector<std::string> elements;
  for (const EndpointKey& key : to)
    if (key.address.is_v4() == v4) elements.push_back(port_key(key));
  return set_text("set", name, fmt::format("type {}_addr . inet_service", v4 ? "ipv4" : "ipv6"),
                  elements);
}

bool is_v4(const SourceLimit& limit) {
  return limit.to.begin()->address.is_v4();
}

/// Where no fragment may hide a SYN.
std::set<IpAddress> guarded(const SignalForward& forward) {
  std::set<IpAddress> out;
  for (const EndpointKey& key : forward.mptcp_only)
    out.insert(key.address);
  for (const auto& [name, limit] : forward.limits)
    for (const EndpointKey& key : limit.to)
      out.insert(key.address);
  return out;
}

/// What the table holds for mptcp_only and the limits; nothing without them.
std::string guard_sets(const SignalForward& forward) {
  const std::set<IpAddress> whole = guarded(forward);
  if (whole.empty()) return "";
  std::string out;
  for (const bool v4 : {true, false}) {
    std::vector<std::string> addresses;
    for (const IpAddress& address : whole)
      if (address.is_v4() == v4) addresses.push_back(address.text());
    const int family = v4 ? 4 : 6;
    out += set_text("set", fmt::format("whole{}", family), fmt::format("type ipv{}_addr", family),
                    addresses);
    out += targets_set(fmt::format("mptcp_only{}", family), v4, forward.mptcp_only);
  }
  for (const auto& [name, limit] : forward.limits) {
    out += targets_set(name + "_to", is_v4(limit), limit.to);
    out += set_text("set", name,
                    fmt::format("type {}_addr\n\t\tsize 65535\n\t\tflags dynamic,timeout\n"
                                "\t\ttimeout 1m",
                                is_v4(limit) ? "ipv4" : "ipv6"),
                    {});
  }
  return out;
}

/// "ip6 saddr & ffff:ffff:ffff:ffff::"
std::string source_text(const SourceLimit& limit) {
  std::string out = is_v4(limit) ? "ip saddr" : "ip6 saddr";
  const std::size_t octets = is_v4(limit) ? 4 : 16;
  if (limit.prefix == octets * 8) return out;
  std::vector<std::uint8_t> mask(octets);
  for (std::size_t bit = 0; bit < limit.prefix; ++bit)
    mask[bit / 8] = static_cast<std::uint8_t>(mask[bit / 8] | 0x80 >> (bit % 8));
  return out + " & " + IpAddress::from_octets(mask)->text();
}

std::string limit_rules(const SignalForward& forward) {
  std::string out;
  for (const auto& [name, limit] : forward.limits)
    out += fmt::format(
        "\t\t{} daddr . tcp dport @{}_to tcp flags syn / syn,ack update @{} {{ {} limit rate over "
        "{}/{} burst {} packets }} counter drop\n",
        is_v4(limit) ? "ip frag-off & 8191 == 0 ip" : "ip6", name, name, source_text(limit),
        limit.rate.packets, model::name(limit.rate.per), limit.rate.burst);
  return out;
}

std::string table_text(const SignalForward& forward) {
  const std::string devices = ingress_of(forward.client_devices);
  const bool brings_home = !forward.server_device.empty();
  const std::string guards = guard_sets(forward);
  std::string out = fmt::format("table {} {{\n", table);
  out += address_sets(forward.addresses, brings_home) + guards;
  const auto chain = [&](const char* name, const char* priority, const std::string& rules) {
    out += fmt::format(
        "\tchain {} {{\n\t\ttype filter hook ingress {} priority {}; policy accept;\n{}\t}}\n",
        name, devices, priority, rules);
  };
  const bool guarded = !guards.empty();
  chain("guard", "filter - 10",
        fmt::format("{}{}{}{}", fragment_rules, guarded ? whole_rules : "", join_rules,
                    guarded ? mptcp_only_rules : ""));
  if (!forward.limits.empty()) chain("rates", "filter - 5", limit_rules(forward));
  std::string home;
  for (const char* rule : forward_rules)
    home += fmt::format("\t\t{} device \"{}\"\n", rule, forward.server_device);
  if (brings_home) chain("forward", "filter", home);
  return out + "}";
}

std::string signal_statement(const char* verb, const std::string& set, const std::string& element) {
  return fmt::format("{} element {} {} {{ {} }}", verb, table, set, element);
}

/// As the backend does it: a second value for a key is refused, so the old one goes first.
void set_signal(const SetSignal& a, std::vector<std::string>& out) {
  const SignalWords words = words_for(a.signal);
  const auto was_at = a.from ? a.from->server : std::nullopt;
  for (const auto& [map, key] : words.maps) {
    if (was_at == a.to.server) continue;
    if (was_at) out.push_back(signal_statement("delete", map, key));
    if (a.to.server) out.push_back(signal_statement("add", map, key + " : " + a.to.server->text()));
  }
  const bool was = a.from && a.from->join_only;
  if (was != a.to.join_only)
    out.push_back(signal_statement(was ? "delete" : "add", words.join_only, words.key));
}

void remove_signal(const RemoveSignal& a, std::vector<std::string>& out) {
  const SignalWords words = words_for(a.signal);
  if (a.from.server)
    for (const auto& [map, key] : words.maps)
      out.push_back(signal_statement("delete", map, key));
  if (a.from.join_only) out.push_back(signal_statement("delete", words.join_only, words.key));
}

void create(const CreateForward& a, SignalForward whole, std::vector<std::string>& out) {
  if (a.replaces) {
    // Added first, so that the deletion succeeds whether it still stands or not.
    out.push_back(fmt::format("add table {}", table));
    out.push_back(fmt::format("delete table {}", table));
  } else {
    // Fails if there is one, which `table …` alone would only add to.
    out.push_back(fmt::format("create table {}", table));
  }
  out.push_back(table_text(whole));
}

}  // namespace

std::string set_text(const char* what, const std::string& name, std::string_view type,
                     const std::vector<std::string>& elements) {
  std::string out = fmt::format("\t{} {} {{\n\t\t{}\n", what, name, type);
  // One to a line: there may be thousands.
  if (!elements.empty())
    out += fmt::format("\t\telements = {{ {} }}\n", fmt::join(elements, ",\n\t\t\t     "));
  return out + "\t}\n";
}

std::vector<std::string> nft_statements(std::span<const Operation> run) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < run.size(); ++i) {
    const Action& action = run[i].action;
    if (const auto* a = std::get_if<CreateForward>(&action)) {
      SignalForward whole = a->forward;
      while (i + 1 < run.size()) {
        const auto* next = std::get_if<SetSignal>(&run[i + 1].action);
        if (next == nullptr || next->from) break;
        whole.addresses[next->signal] = next->to;
        ++i;
      }
      create(*a, std::move(whole), out);
    } else if (std::holds_alternative<RemoveForward>(action)) {
      out.push_back(fmt::format("delete table {}", table));
    } else if (const auto* set = std::get_if<SetSignal>(&action)) {
      set_signal(*set, out);
    } else if (const auto* remove = std::get_if<RemoveSignal>(&action)) {
      remove_signal(*remove, out);
    } else if (const auto* marks = std::get_if<CreateMarks>(&action)) {
      Marks whole;
      while (i + 1 < run.size()) {
        const auto* next = std::get_if<SetMark>(&run[i + 1].action);
        if (next == nullptr || next->from) break;
        whole[next->key] = next->to;
        ++i;
      }
      create_marks(*marks, whole, out);
    } else if (std::holds_alternative<RemoveMarks>(action)) {
      out.push_back(fmt::format("delete table {}", marks_table));
    } else if (const auto* mark = std::get_if<SetMark>(&action)) {
      set_mark(*mark, out);
    } else if (const auto* unmark = std::get_if<RemoveMark>(&action)) {
      remove_mark(*unmark, out);
    }
  }
  return out;
}

}  // namespace lbctl::plan
