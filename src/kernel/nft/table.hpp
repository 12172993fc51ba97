// What lbctl's tables have in common, as libnftnl objects: sets, chains, rules, elements.
#pragma once

#include <cstdint>
#include <map>
#include <new>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "expressions.hpp"
#include "lbctl/model/address.hpp"
#include "nftnl.hpp"

namespace lbctl::kernel::nft {

/// Network order, but for marks. The key of an interval is its first and then its last.
using Octets = std::vector<std::uint8_t>;
/// Key octets to value octets (empty in a plain set).
using Elements = std::map<Octets, Octets>;

Octets octets_of(const model::IpAddress& address);
void append(Octets& to, const Octets& more);
/// As part of a key: network order, filled up to 4 octets.
Octets octets_of(model::Port port);

/// nft's numbers for data types (its datatype.h); the kernel stores them and reads nothing in
/// them, nft needs them to list a set.
inline constexpr std::uint32_t type_ipv4 = 7, type_ipv6 = 8, type_port = 13, type_icmp = 14,
                               type_integer = 4, type_mark = 19, type_icmpv6 = 29;
constexpr std::uint32_t joined(std::uint32_t first, std::uint32_t second) {
  return first << 6 | second;
}

struct SetShape {
  std::string name;
  std::uint32_t key_type, key_octets;
  std::uint32_t data_type = 0, data_octets = 0;  ///< 0: not a map
  bool counted = false;                          ///< each element counts the packets that found it
  bool intervals = false;      ///< of an address and a port, each of which may be a range
  std::string_view note = {};  ///< nft's own, kept beside the set
  /// With both the packets themselves fill it: at most so many, each for so many milliseconds.
  std::uint32_t size = 0;
  std::uint64_t timeout = 0;
};

enum class TableId : std::uint8_t { forward, marks };
struct TableInfo {
  const char* text;                ///< "table netdev lbctl"
  std::uint16_t family;            ///< NFPROTO_*
  std::span<const SetShape> sets;  ///< those whose elements change one by one
};
const TableInfo& info(TableId id);
/// Null if the table has none of that name.
const SetShape* find_set(TableId id, const std::string& name);

struct TableObjects {
  TableHandle table;
  std::vector<ChainHandle> chains;
  std::vector<SetShape> shapes;
  std::vector<SetHandle> sets;    ///< of these shapes
  std::vector<RuleHandle> rules;  ///< in their order, the chain is in each
  std::vector<Counted> counted;   ///< beside them; null where a rule counts nothing
};

template <class Handle, class T>
Handle owned(T* object) {
  if (object == nullptr) throw std::bad_alloc();
  return Handle(object);
}

/// With these sets, without chains and rules.
TableObjects make_table(TableId id, std::vector<SetShape> shapes);
/// A base chain of type filter, policy accept.
ChainHandle base_chain(const char* name, std::uint32_t hook, std::int32_t priority);
RuleWriter add_rule(TableObjects& to, TableId id, const char* chain);

/// A set object that names one of the table's sets, to carry elements in.
SetHandle make_element_carrier(const SetShape& set);
void add_element(nftnl_set& carrier, const SetShape& set, const Octets& key, const Octets& value);

}  // namespace lbctl::kernel::nft
