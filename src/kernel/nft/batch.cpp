#include "batch.hpp"

#include <fmt/format.h>
#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <linux/netfilter/nf_tables.h>

#include "forward_table.hpp"
#include "mark_table.hpp"

namespace lbctl::kernel::nft {
namespace {

// The largest message: a chain with 256 devices or 500 elements of about 60 octets.
constexpr std::size_t scratch_octets = 65536;
// The list of elements is one attribute, whose length has 16 bits.
constexpr std::size_t elements_per_message = 500;

}  // namespace

Batch::Batch(std::uint32_t first_seq) : first_seq_(first_seq), scratch_(scratch_octets) {
  frame(true);
}

void Batch::frame(bool begin) {
  auto* at = reinterpret_cast<char*>(scratch_.data());
  const nlmsghdr* message =
      begin ? nftnl_batch_begin(at, next_seq()) : nftnl_batch_end(at, next_seq());
  octets_.insert(octets_.end(), at, at + MNL_ALIGN(message->nlmsg_len));
  notes_.push_back({.carries = Carries::frame, .operation = 0, .object = "the transaction"});
}

template <class Build>
void Batch::append(TableId table, std::uint16_t type, std::uint16_t flags, Note note, Build build) {
  auto* at = reinterpret_cast<char*>(scratch_.data());
  nlmsghdr* message = nftnl_nlmsg_build_hdr(at, type, info(table).family, flags, next_seq());
  build(message);
  last_ = octets_.size();
  octets_.insert(octets_.end(), at, at + MNL_ALIGN(message->nlmsg_len));
  notes_.push_back(std::move(note));
}

std::span<const std::uint8_t> Batch::finish() {
  // One acknowledgement tells of the commit. Not the frame's: kernels before 6.10 acknowledge
  // none of it. Not everybody's: thousands of answers overflow the receive buffer.
  if (!empty()) reinterpret_cast<nlmsghdr*>(octets_.data() + last_)->nlmsg_flags |= NLM_F_ACK;
  frame(false);
  return octets_;
}

const Batch::Note& Batch::note(std::uint32_t seq) const {
  const std::uint32_t position = seq - first_seq_;
  return position < notes_.size() ? notes_[position] : notes_.front();
}

void Batch::create(std::size_t operation, const model::CreateForward& action,
                   std::uint32_t server_index) {
  create(operation, TableId::forward, action.replaces,
         make_forward_table(action.forward, server_index), forward_elements(action.forward));
}

void Batch::create(std::size_t operation, const model::CreateMarks& action) {
  create(operation, TableId::marks, action.replaces, make_mark_table(action.chains), {});
}

void Batch::create(std::size_t operation, TableId table, bool replaces, const TableObjects& made,
                   const std::map<std::string, Elements>& filled) {
  const auto add_table = [&](std::uint16_t flags) {
    append(table, NFT_MSG_NEWTABLE, flags, {Carries::table, operation, info(table).text},
           [&](nlmsghdr* to) { nftnl_table_nlmsg_build_payload(to, made.table.get()); });
  };
  if (replaces) {
    // Added first, so that the deletion succeeds whether it still stands or not.
    add_table(NLM_F_CREATE);
    remove(operation, table);
  }
  add_table(NLM_F_CREATE | NLM_F_EXCL);
  std::uint32_t id = 0;
  for (const SetHandle& set : made.sets) {
    // The kernel insists on an id for a set, with which rules of the same batch may name it.
    nftnl_set_set_u32(set.get(), NFTNL_SET_ID, ++id);
    append(table, NFT_MSG_NEWSET, NLM_F_CREATE | NLM_F_EXCL,
           {Carries::set, operation,
            fmt::format("set {}", nftnl_set_get_str(set.get(), NFTNL_SET_NAME))},
           [&](nlmsghdr* to) { nftnl_set_nlmsg_build_payload(to, set.get()); });
  }
  for (const SetShape& shape : made.shapes)
    if (const auto of_set = filled.find(shape.name); of_set != filled.end())
      elements(operation, true, table, shape, of_set->second);
  for (const ChainHandle& chain : made.chains)
    append(table, NFT_MSG_NEWCHAIN, NLM_F_CREATE | NLM_F_EXCL,
           {Carries::chain, operation,
            fmt::format("chain {}", nftnl_chain_get_str(chain.get(), NFTNL_CHAIN_NAME))},
           [&](nlmsghdr* to) { nftnl_chain_nlmsg_build_payload(to, chain.get()); });
  for (const RuleHandle& rule : made.rules)
    append(table, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND,
           {Carries::rule, operation,
            fmt::format("a rule of chain {}", nftnl_rule_get_str(rule.get(), NFTNL_RULE_CHAIN))},
           [&](nlmsghdr* to) { nftnl_rule_nlmsg_build_payload(to, rule.get()); });
}

void Batch::remove(std::size_t operation, TableId table) {
  append(table, NFT_MSG_DELTABLE, 0, {Carries::table, operation, info(table).text},
         [](nlmsghdr* to) { mnl_attr_put_strz(to, NFTA_TABLE_NAME, model::nft_table_name); });
}

void Batch::elements(std::size_t operation, bool add, TableId table, const std::string& set,
                     const Elements& elements) {
  // The names all come from the shapes.
  if (const SetShape* shape = find_set(table, set))
    this->elements(operation, add, table, *shape, elements);
}

void Batch::elements(std::size_t operation, bool add, TableId table, const SetShape& shape,
                     const Elements& elements) {
  for (auto next = elements.begin(); next != elements.end();) {
    const SetHandle carrier = make_element_carrier(shape);
    for (std::size_t n = 0; n < elements_per_message && next != elements.end(); ++n, ++next)
      add_element(*carrier, shape, next->first, next->second);
    const auto flags = static_cast<std::uint16_t>(add ? NLM_F_CREATE | NLM_F_EXCL : 0);
    append(table, add ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM, flags,
           {Carries::element, operation, fmt::format("element of {}", shape.name)},
           [&](nlmsghdr* to) { nftnl_set_elems_nlmsg_build_payload(to, carrier.get()); });
  }
}

namespace {

/// The maps from it to its server, the set of what takes joins only, and the key in them.
struct SignalPlace {
  std::vector<const char*> maps;
  const char* join_only;
  Octets key;
};

/// For deletion: the kernel compares values that it is given.
Elements without_values(Elements elements) {
  for (auto& [key, value] : elements)
    value.clear();
  return elements;
}

SignalPlace place_of(const model::EndpointKey& signal) {
  if (number(signal.port) != 0)
    return {{port_names.signal, port_names.error}, port_names.join_only, port_key(signal)};
  const SetNames& sets = names(signal.address.family());
  return {{sets.signal}, sets.join_only, octets_of(signal.address)};
}

}  // namespace

void Batch::set_signal(std::size_t operation, const model::SetSignal& action) {
  const SignalPlace place = place_of(action.signal);
  const auto change = [&](bool add, const char* set, const Octets& value) {
    elements(operation, add, TableId::forward, set, {{place.key, value}});
  };
  // The kernel refuses a second value for a key (EEXIST, EBUSY): the old one goes first, which
  // traffic does not notice inside one transaction.
  const auto was_at = action.from ? action.from->server : std::nullopt;
  for (const char* map : place.maps) {
    if (was_at == action.to.server) continue;
    if (was_at) change(false, map, {});
    if (action.to.server) change(true, map, octets_of(*action.to.server));
  }
  const bool was = action.from && action.from->join_only;
  if (was && !action.to.join_only) change(false, place.join_only, {});
  if (!was && action.to.join_only) change(true, place.join_only, {});
}

void Batch::remove_signal(std::size_t operation, const model::RemoveSignal& action) {
  const SignalPlace place = place_of(action.signal);
  const Elements gone{{place.key, {}}};
  if (action.from.server)
    for (const char* map : place.maps)
      elements(operation, false, TableId::forward, map, gone);
  if (action.from.join_only) elements(operation, false, TableId::forward, place.join_only, gone);
}

void Batch::set_mark(std::size_t operation, const model::SetMark& action) {
  const model::Mark from = action.from.value_or(model::Mark{});
  const auto gone = mark_elements(action.key, from), come = mark_elements(action.key, action.to);
  for (const auto& [set, what] : gone)
    if (!come.contains(set) || come.at(set) != what)
      elements(operation, false, TableId::marks, set, without_values(what));
  for (const auto& [set, what] : come)
    if (!gone.contains(set) || gone.at(set) != what)
      elements(operation, true, TableId::marks, set, what);
}

void Batch::remove_mark(std::size_t operation, const model::RemoveMark& action) {
  for (const auto& [set, what] : mark_elements(action.key, action.from))
    elements(operation, false, TableId::marks, set, without_values(what));
}

}  // namespace lbctl::kernel::nft
