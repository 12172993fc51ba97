#include "decode.hpp"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <string_view>

#include "forward_table.hpp"
#include "guard_table.hpp"
#include "mark_table.hpp"
#include "policy.hpp"

namespace lbctl::kernel::nft {
namespace {

using model::IpAddress;

// Stands for a part that lbctl's own tables never have: it makes the whole not intact.
constexpr const char* unreadable = "unreadable";

/// Which of lbctl's tables it is about. Every kind of message has the table's name as attribute 1.
std::optional<TableId> which(const nlmsghdr& message) {
  static_assert(NFTA_TABLE_NAME == 1 && NFTA_CHAIN_TABLE == 1 && NFTA_RULE_TABLE == 1 &&
                NFTA_SET_TABLE == 1 && NFTA_SET_ELEM_LIST_TABLE == 1);
  const auto family = static_cast<const nfgenmsg*>(mnl_nlmsg_get_payload(&message))->nfgen_family;
  const TableId id = family == NFPROTO_NETDEV ? TableId::forward : TableId::marks;
  if (family != info(id).family) return std::nullopt;
  bool found = false;
  mnl_attr_parse(
      &message, sizeof(nfgenmsg),
      [](const nlattr* attribute, void* out) {
        const std::string_view text(static_cast<const char*>(mnl_attr_get_payload(attribute)),
                                    mnl_attr_get_payload_len(attribute));
        if (mnl_attr_get_type(attribute) == 1 &&
            text.substr(0, text.find('\0')) == model::nft_table_name)
          *static_cast<bool*>(out) = true;
        return MNL_CB_OK;
      },
      &found);
  return found ? std::optional(id) : std::nullopt;
}

void take_table(const nlmsghdr& message, TableDump& dump) {
  const auto table = owned<TableHandle>(nftnl_table_alloc());
  dump.present = true;
  if (!well_formed(message) || nftnl_table_nlmsg_parse(&message, table.get()) < 0) {
    dump.text.head = unreadable;
    return;
  }
  dump.text.set_head(nftnl_table_get_u32(table.get(), NFTNL_TABLE_FLAGS),
                     nftnl_table_get_u32(table.get(), NFTNL_TABLE_USE));
}

void take_chain(const nlmsghdr& message, TableDump& dump) {
  const auto chain = owned<ChainHandle>(nftnl_chain_alloc());
  if (!well_formed(message) || nftnl_chain_nlmsg_parse(&message, chain.get()) < 0) {
    dump.text.chains["?"] = unreadable;
    return;
  }
  dump.text.add_chain(*chain);
}

std::string name_of(const nftnl_set& set) {
  const char* const name = nftnl_set_get_str(&set, NFTNL_SET_NAME);
  return name == nullptr ? "" : name;
}

std::string chain_of(const nftnl_rule& rule) {
  const char* const chain = nftnl_rule_get_str(&rule, NFTNL_RULE_CHAIN);
  return chain == nullptr ? "" : chain;
}

void take_rule(const nlmsghdr& message, TableDump& dump) {
  const auto rule = owned<RuleHandle>(nftnl_rule_alloc());
  if (!well_formed(message) || nftnl_rule_nlmsg_parse(&message, rule.get()) < 0) {
    dump.text.rules["?"].emplace_back(unreadable);
    return;
  }
  dump.text.add_rule(*rule);
  dump.packets[chain_of(*rule)].push_back(packets_counted(*rule));
  if (!dump.server_index) dump.server_index = forward_device(*rule);
  if (auto limit = limit_in(*rule)) dump.limits.insert(std::move(*limit));
}

void take_set(const nlmsghdr& message, TableDump& dump, bool elements) {
  const auto set = owned<SetHandle>(nftnl_set_alloc());
  if (!well_formed(message) || (elements ? nftnl_set_elems_nlmsg_parse(&message, set.get())
                                         : nftnl_set_nlmsg_parse(&message, set.get())) < 0) {
    dump.text.sets["?"] = unreadable;
  } else if (elements) {
    dump.text.add_elements(*set);
    dump.found[name_of(*set)].merge(packets_counted(*set));
  } else {
    dump.text.add_set(*set);
  }
}

std::optional<model::EndpointKey> signal_of(const Octets& octets, bool with_port) {
  if (with_port) return endpoint_of(octets);
  const auto address = IpAddress::from_octets(octets);
  return address ? std::optional(model::EndpointKey{*address, {}}) : std::nullopt;
}

/// What one map and its guard hold; false if an element does not fit the model.
bool read_signals(const TableText& text, const char* map, const char* join_only, bool with_port,
                  std::map<model::EndpointKey, model::ForwardTarget>& out) {
  bool whole = true;
  if (const auto found = text.elements.find(map); found != text.elements.end()) {
    for (const auto& [key, value] : found->second) {
      const auto signal = signal_of(key, with_port);
      const auto server = IpAddress::from_octets(value);
      if (signal && server && signal->address.family() == server->family()) {
        out[*signal] = {.server = *server, .join_only = false};
      } else {
        whole = false;
      }
    }
  }
  if (const auto found = text.elements.find(join_only); found != text.elements.end()) {
    for (const auto& [key, value] : found->second) {
      const auto signal = signal_of(key, with_port);
      if (signal) {
        out[*signal].join_only = true;  // not in the map: something else brings it home
      } else {
        whole = false;
      }
    }
  }
  return whole;
}

}  // namespace

void take_message(const nlmsghdr& message, Dump& dump) {
  if (mnl_nlmsg_get_payload_len(&message) < sizeof(nfgenmsg)) return;
  if (NFNL_SUBSYS_ID(message.nlmsg_type) != NFNL_SUBSYS_NFTABLES) return;
  const auto id = which(message);
  if (!id) return;
  TableDump& table = dump.of(*id);
  switch (NFNL_MSG_TYPE(message.nlmsg_type)) {
    case NFT_MSG_NEWTABLE:
      return take_table(message, table);
    case NFT_MSG_NEWCHAIN:
      return take_chain(message, table);
    case NFT_MSG_NEWRULE:
      return take_rule(message, table);
    case NFT_MSG_NEWSET:
      return take_set(message, table, false);
    case NFT_MSG_NEWSETELEM:
      return take_set(message, table, true);
    default:
      return;
  }
}

std::uint32_t generation(const nlmsghdr& message) {
  if (mnl_nlmsg_get_payload_len(&message) < sizeof(nfgenmsg)) return 0;
  std::uint32_t found = 0;
  mnl_attr_parse(
      &message, sizeof(nfgenmsg),
      [](const nlattr* attribute, void* out) {
        if (mnl_attr_get_type(attribute) == NFTA_GEN_ID &&
            mnl_attr_validate(attribute, MNL_TYPE_U32) == 0)
          *static_cast<std::uint32_t*>(out) = ntohl(mnl_attr_get_u32(attribute));
        return MNL_CB_OK;
      },
      &found);
  return found;
}

namespace {

void add_found(const TableDump& dump, const char* map, bool with_port,
               std::map<model::EndpointKey, std::uint64_t>& out) {
  if (const auto set = dump.found.find(map); set != dump.found.end())
    for (const auto& [key, packets] : set->second)
      if (const auto signal = signal_of(key, with_port)) out[*signal] += packets;
}

/// `made`: the same rules in the same order.
model::SignalCounters count(const TableDump& dump, const TableObjects& made) {
  model::SignalCounters out;
  std::map<std::string, std::size_t> passed;
  for (std::size_t i = 0; i < made.rules.size(); ++i) {
    const std::string chain = chain_of(*made.rules[i]);
    const std::uint64_t packets = dump.packets.at(chain).at(passed[chain]++);
    if (made.counted[i] != nullptr) out.*made.counted[i] += packets;
  }
  for (const SetNames& sets : {names_v4, names_v6})
    add_found(dump, sets.signal, false, out.brought_home);
  add_found(dump, port_names.signal, true, out.brought_home);
  add_found(dump, port_names.error, true, out.brought_home);
  return out;
}

void decode_forward(const TableDump& dump, const NameOfIndex& name_of, const DeviceExists& exists,
                    Decoded& out) {
  if (!dump.present) return;
  model::SignalForward& forward = out.state.forward.emplace();
  for (const auto& [chain, devices] : dump.text.devices)
    for (const std::string& device : devices)
      if (exists(device)) forward.client_devices.insert(device);
  bool whole = true;
  for (const SetNames& sets : {names_v4, names_v6})
    whole &= read_signals(dump.text, sets.signal, sets.join_only, false, forward.addresses);
  // The map for ICMP errors has to be equal to it, or the texts differ.
  whole &=
      read_signals(dump.text, port_names.signal, port_names.join_only, true, forward.addresses);
  forward.limits = dump.limits;
  whole &= read_guard(dump.text.elements, forward);
  if (dump.server_index) {
    forward.server_device = name_of(*dump.server_index).value_or("");
    whole &= !forward.server_device.empty();
  }
  const TableObjects made = make_forward_table(forward, dump.server_index.value_or(0));
  out.state.intact = whole && dump.text == make_text(made, forward_elements(forward));
  if (out.state.intact) out.counters = count(dump, made);
}

void decode_marks(const TableDump& dump, model::NftState& state) {
  if (!dump.present) return;
  model::Marks& marks = state.marks.emplace();
  // lbctl makes no table without any.
  state.marks_intact =
      read_marks(dump.text.elements, marks) && !marks.empty() &&
      dump.text == make_text(make_mark_table(model::chains_for(marks)), mark_elements(marks));
}

}  // namespace

Decoded decode(const Dump& dump, const NameOfIndex& name_of, const DeviceExists& exists) {
  Decoded out;
  decode_forward(dump.forward, name_of, exists, out);
  decode_marks(dump.marks, out.state);
  return out;
}

}  // namespace lbctl::kernel::nft
