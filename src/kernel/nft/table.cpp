#include "table.hpp"

#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include <array>

#include "forward_table.hpp"
#include "mark_table.hpp"

namespace lbctl::kernel::nft {
namespace {

/// nft keeps a note beside each set of the byte order of its values; without it nft would take
/// marks for numbers in network order. The kernel does not read it.
void say_host_order(nftnl_set& set) {
  constexpr std::uint32_t host_order = 1, room = 16;
  const CHandle<nftnl_udata_buf, &nftnl_udata_buf_free> notes(nftnl_udata_buf_alloc(room));
  if (!notes) throw std::bad_alloc();
  nftnl_udata_put_u32(notes.get(), NFTNL_UDATA_SET_DATABYTEORDER, host_order);
  nftnl_set_set_data(&set, NFTNL_SET_USERDATA, nftnl_udata_buf_data(notes.get()),
                     nftnl_udata_buf_len(notes.get()));
}

/// The set owns it then.
nftnl_expr* owned_expression(const char* name) {
  nftnl_expr* made = nftnl_expr_alloc(name);
  if (made == nullptr) throw std::bad_alloc();
  return made;
}

SetHandle make_set(const SetShape& shape, std::uint16_t family) {
  auto set = owned<SetHandle>(nftnl_set_alloc());
  std::uint32_t flags = shape.data_octets != 0 ? NFT_SET_MAP : 0;
  if (shape.intervals) {
    flags |= NFT_SET_INTERVAL | NFT_SET_CONCAT;
    // Each field on its own: the kernel then takes the kind of set that has ranges of both.
    const std::array<std::uint8_t, 2> fields{static_cast<std::uint8_t>(shape.key_octets - 4), 2};
    nftnl_set_set_data(set.get(), NFTNL_SET_DESC_CONCAT, fields.data(), fields.size());
  }
  nftnl_set_set_str(set.get(), NFTNL_SET_TABLE, model::nft_table_name);
  if (shape.timeout != 0) {
    flags |= NFT_SET_EVAL | NFT_SET_TIMEOUT;
    nftnl_set_set_u32(set.get(), NFTNL_SET_DESC_SIZE, shape.size);
    nftnl_set_set_u64(set.get(), NFTNL_SET_TIMEOUT, shape.timeout);
  }
  nftnl_set_set_str(set.get(), NFTNL_SET_NAME, shape.name.c_str());
  nftnl_set_set_u32(set.get(), NFTNL_SET_FAMILY, family);
  nftnl_set_set_u32(set.get(), NFTNL_SET_KEY_TYPE, shape.key_type);
  nftnl_set_set_u32(set.get(), NFTNL_SET_KEY_LEN, shape.key_octets);
  nftnl_set_set_u32(set.get(), NFTNL_SET_FLAGS, flags);
  if (shape.data_octets != 0) {
    nftnl_set_set_u32(set.get(), NFTNL_SET_DATA_TYPE, shape.data_type);
    nftnl_set_set_u32(set.get(), NFTNL_SET_DATA_LEN, shape.data_octets);
  }
  if (shape.counted) nftnl_set_add_expr(set.get(), owned_expression("counter"));
  if (shape.data_type == type_mark) say_host_order(*set);
  if (!shape.note.empty())
    nftnl_set_set_data(set.get(), NFTNL_SET_USERDATA, shape.note.data(),
                       static_cast<std::uint32_t>(shape.note.size()));
  return set;
}

}  // namespace

Octets octets_of(const model::IpAddress& address) {
  const auto octets = address.octets();
  return {octets.begin(), octets.end()};
}

void append(Octets& to, const Octets& more) {
  to.insert(to.end(), more.begin(), more.end());
}

Octets octets_of(model::Port port) {
  return {static_cast<std::uint8_t>(number(port) >> 8),
          static_cast<std::uint8_t>(number(port) & 0xff), 0, 0};
}

const TableInfo& info(TableId id) {
  static const TableInfo forward{"table netdev lbctl", NFPROTO_NETDEV, forward_sets()};
  static const TableInfo marks{"table inet lbctl", NFPROTO_INET, mark_sets()};
  return id == TableId::forward ? forward : marks;
}

const SetShape* find_set(TableId id, const std::string& name) {
  for (const SetShape& shape : info(id).sets)
    if (name == shape.name) return &shape;
  return nullptr;
}

TableObjects make_table(TableId id, std::vector<SetShape> shapes) {
  TableObjects made;
  made.table = owned<TableHandle>(nftnl_table_alloc());
  nftnl_table_set_str(made.table.get(), NFTNL_TABLE_NAME, model::nft_table_name);
  nftnl_table_set_u32(made.table.get(), NFTNL_TABLE_FAMILY, info(id).family);
  for (const SetShape& shape : shapes)
    made.sets.push_back(make_set(shape, info(id).family));
  made.shapes = std::move(shapes);
  return made;
}

ChainHandle base_chain(const char* name, std::uint32_t hook, std::int32_t priority) {
  auto chain = owned<ChainHandle>(nftnl_chain_alloc());
  nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_TABLE, model::nft_table_name);
  nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_NAME, name);
  nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_TYPE, "filter");
  nftnl_chain_set_u32(chain.get(), NFTNL_CHAIN_HOOKNUM, hook);
  nftnl_chain_set_s32(chain.get(), NFTNL_CHAIN_PRIO, priority);
  nftnl_chain_set_u32(chain.get(), NFTNL_CHAIN_POLICY, NF_ACCEPT);
  return chain;
}

RuleWriter add_rule(TableObjects& to, TableId id, const char* chain) {
  auto rule = owned<RuleHandle>(nftnl_rule_alloc());
  nftnl_rule_set_str(rule.get(), NFTNL_RULE_TABLE, model::nft_table_name);
  nftnl_rule_set_str(rule.get(), NFTNL_RULE_CHAIN, chain);
  nftnl_rule_set_u32(rule.get(), NFTNL_RULE_FAMILY, info(id).family);
  to.rules.push_back(std::move(rule));
  to.counted.push_back(nullptr);
  return RuleWriter(*to.rules.back(), to.counted.back());
}

SetHandle make_element_carrier(const SetShape& set) {
  auto carrier = owned<SetHandle>(nftnl_set_alloc());
  nftnl_set_set_str(carrier.get(), NFTNL_SET_TABLE, model::nft_table_name);
  nftnl_set_set_str(carrier.get(), NFTNL_SET_NAME, set.name.c_str());
  return carrier;
}

void add_element(nftnl_set& carrier, const SetShape& set, const Octets& key, const Octets& value) {
  nftnl_set_elem* element = nftnl_set_elem_alloc();
  if (element == nullptr) throw std::bad_alloc();
  nftnl_set_elem_set(element, NFTNL_SET_ELEM_KEY, key.data(), set.key_octets);
  if (set.intervals)
    nftnl_set_elem_set(element, NFTNL_SET_ELEM_KEY_END, key.data() + set.key_octets,
                       set.key_octets);
  if (!value.empty())
    nftnl_set_elem_set(element, NFTNL_SET_ELEM_DATA, value.data(),
                       static_cast<std::uint32_t>(value.size()));
  nftnl_set_elem_add(&carrier, element);
}

}  // namespace lbctl::kernel::nft
