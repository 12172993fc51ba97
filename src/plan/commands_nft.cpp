// The nft operations as nft(8) takes them. The text of the table is that of
// rules/director-forward.nft, where the reasons stand; a test keeps the two equal.
#include <fmt/format.h>
#include <fmt/ranges.h>

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

constexpr const char* guard_rules =
    R"(		ip daddr @join_only4 ip frag-off & 8184 == 0 ip frag-off & 7 != 0 counter drop
		ip6 daddr @join_only6 frag frag-off 1-7 counter drop
		ip daddr @join_only4 tcp flags syn / syn,ack tcp option mptcp subtype 1 accept
		ip daddr @join_only4 tcp flags syn / syn,ack counter drop
		ip6 daddr @join_only6 tcp flags syn / syn,ack tcp option mptcp subtype 1 accept
		ip6 daddr @join_only6 tcp flags syn / syn,ack counter drop
)";

/// Everything of the four rules but the device.
constexpr const char* forward_rules[] = {
    "meta pkttype host ip ttl > 1 meta l4proto tcp counter fwd ip to ip daddr map @signal4",
    "meta pkttype host ip ttl > 1 icmp type @icmp4 counter fwd ip to ip daddr map @signal4",
    "meta pkttype host ip6 hoplimit > 1 meta l4proto tcp counter fwd ip6 to ip6 daddr map @signal6",
    "meta pkttype host ip6 hoplimit > 1 icmpv6 type @icmp6 counter fwd ip6 to ip6 daddr map "
    "@signal6",
};

/// "signal4", "join_only6": the set of that kind which has the address's family.
std::string set_for(const char* kind, const IpAddress& address) {
  return fmt::format("{}{}", kind, address.is_v4() ? 4 : 6);
}

std::string set_text(const char* what, const std::string& name, std::string_view type,
                     const std::vector<std::string>& elements) {
  std::string out = fmt::format("\t{} {} {{\n\t\ttype {}\n", what, name, type);
  // One to a line: there may be thousands.
  if (!elements.empty())
    out += fmt::format("\t\telements = {{ {} }}\n", fmt::join(elements, ",\n\t\t\t     "));
  return out + "\t}\n";
}

std::string address_sets(const std::map<IpAddress, ForwardTarget>& addresses) {
  struct OfFamily {
    std::vector<std::string> signal, join_only;
  } v4, v6;
  for (const auto& [signal, target] : addresses) {
    OfFamily& family = signal.is_v4() ? v4 : v6;
    family.signal.push_back(fmt::format("{} : {}", signal.text(), target.server.text()));
    if (target.join_only) family.join_only.push_back(signal.text());
  }
  return set_text("map", "signal4", "ipv4_addr : ipv4_addr", v4.signal) +
         set_text("map", "signal6", "ipv6_addr : ipv6_addr", v6.signal) +
         set_text("set", "join_only4", "ipv4_addr", v4.join_only) +
         set_text("set", "join_only6", "ipv6_addr", v6.join_only);
}

std::string ingress_of(const std::set<std::string>& devices) {
  std::vector<std::string> quoted;
  for (const std::string& device : devices)
    quoted.push_back(fmt::format("\"{}\"", device));
  return quoted.size() == 1 ? "device " + quoted.front()
                            : fmt::format("devices = {{ {} }}", fmt::join(quoted, ", "));
}

std::string table_text(const SignalForward& forward) {
  const std::string devices = ingress_of(forward.client_devices);
  std::string out = fmt::format("table {} {{\n", table);
  out += address_sets(forward.addresses);
  out += icmp_sets;
  out += fmt::format(
      "\tchain guard {{\n\t\ttype filter hook ingress {} priority filter - 10; policy accept;\n{}"
      "\t}}\n",
      devices, guard_rules);
  out += fmt::format(
      "\tchain forward {{\n\t\ttype filter hook ingress {} priority filter; policy accept;\n",
      devices);
  for (const char* rule : forward_rules)
    out += fmt::format("\t\t{} device \"{}\"\n", rule, forward.server_device);
  return out + "\t}\n}";
}

/// As the backend does it: a second value for a key is refused, so the old one goes first.
void set_signal(const SetSignal& a, std::vector<std::string>& out) {
  const auto change = [&](const char* verb, const char* kind, const std::string& element) {
    out.push_back(
        fmt::format("{} element {} {} {{ {} }}", verb, table, set_for(kind, a.signal), element));
  };
  const std::string key = a.signal.text();
  if (!a.from || a.from->server != a.to.server) {
    if (a.from) change("delete", "signal", key);
    change("add", "signal", key + " : " + a.to.server.text());
  }
  const bool was = a.from && a.from->join_only;
  if (was && !a.to.join_only) change("delete", "join_only", key);
  if (!was && a.to.join_only) change("add", "join_only", key);
}

void remove_signal(const RemoveSignal& a, std::vector<std::string>& out) {
  const auto remove = [&](const char* kind) {
    out.push_back(fmt::format("delete element {} {} {{ {} }}", table, set_for(kind, a.signal),
                              a.signal.text()));
  };
  remove("signal");
  if (a.from.join_only) remove("join_only");
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
    }
  }
  return out;
}

}  // namespace lbctl::plan
