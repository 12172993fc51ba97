#include "policy.hpp"

#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <string_view>

namespace lbctl::kernel::nft {
namespace {

enum class Kind : std::uint8_t { u8, u32, u64, string, octets, value, nest, list, expression };

struct Policy;
struct Rule {
  std::uint16_t type;
  Kind kind;
  const Policy* inside = nullptr;  ///< of a nest, and of each member of a list
};
struct Policy {
  std::span<const Rule> rules;
  /// The highest type that libnftnl reads; it skips what newer kernels put above.
  std::uint16_t known;
};

constexpr Rule chain_verdict[]{{NFTA_VERDICT_CODE, Kind::u32}, {NFTA_VERDICT_CHAIN, Kind::string}};
constexpr Policy verdict_policy{chain_verdict, NFTA_VERDICT_MAX};
constexpr Rule data[]{{NFTA_DATA_VALUE, Kind::value},
                      {NFTA_DATA_VERDICT, Kind::nest, &verdict_policy}};
constexpr Policy data_policy{data, NFTA_DATA_MAX};

constexpr Rule meta[]{
    {NFTA_META_DREG, Kind::u32}, {NFTA_META_KEY, Kind::u32}, {NFTA_META_SREG, Kind::u32}};
constexpr Rule payload[]{
    {NFTA_PAYLOAD_DREG, Kind::u32},        {NFTA_PAYLOAD_BASE, Kind::u32},
    {NFTA_PAYLOAD_OFFSET, Kind::u32},      {NFTA_PAYLOAD_LEN, Kind::u32},
    {NFTA_PAYLOAD_SREG, Kind::u32},        {NFTA_PAYLOAD_CSUM_TYPE, Kind::u32},
    {NFTA_PAYLOAD_CSUM_OFFSET, Kind::u32}, {NFTA_PAYLOAD_CSUM_FLAGS, Kind::u32}};
constexpr Rule compare[]{{NFTA_CMP_SREG, Kind::u32},
                         {NFTA_CMP_OP, Kind::u32},
                         {NFTA_CMP_DATA, Kind::nest, &data_policy}};
constexpr Rule bitwise[]{{NFTA_BITWISE_SREG, Kind::u32},
                         {NFTA_BITWISE_DREG, Kind::u32},
                         {NFTA_BITWISE_LEN, Kind::u32},
                         {NFTA_BITWISE_MASK, Kind::nest, &data_policy},
                         {NFTA_BITWISE_XOR, Kind::nest, &data_policy},
                         {NFTA_BITWISE_OP, Kind::u32},
                         {NFTA_BITWISE_DATA, Kind::nest, &data_policy}};
constexpr Rule lookup[]{{NFTA_LOOKUP_SET, Kind::string},
                        {NFTA_LOOKUP_SREG, Kind::u32},
                        {NFTA_LOOKUP_DREG, Kind::u32},
                        {NFTA_LOOKUP_SET_ID, Kind::u32},
                        {NFTA_LOOKUP_FLAGS, Kind::u32}};
constexpr Rule exthdr[]{{NFTA_EXTHDR_DREG, Kind::u32},   {NFTA_EXTHDR_TYPE, Kind::u8},
                        {NFTA_EXTHDR_OFFSET, Kind::u32}, {NFTA_EXTHDR_LEN, Kind::u32},
                        {NFTA_EXTHDR_FLAGS, Kind::u32},  {NFTA_EXTHDR_OP, Kind::u32},
                        {NFTA_EXTHDR_SREG, Kind::u32}};
constexpr Rule immediate[]{{NFTA_IMMEDIATE_DREG, Kind::u32},
                           {NFTA_IMMEDIATE_DATA, Kind::nest, &data_policy}};
constexpr Rule counter[]{{NFTA_COUNTER_BYTES, Kind::u64},
                         {NFTA_COUNTER_PACKETS, Kind::u64},
                         {NFTA_COUNTER_PAD, Kind::octets}};
constexpr Rule forward[]{
    {NFTA_FWD_SREG_DEV, Kind::u32}, {NFTA_FWD_SREG_ADDR, Kind::u32}, {NFTA_FWD_NFPROTO, Kind::u32}};

constexpr Rule limit[]{{NFTA_LIMIT_RATE, Kind::u64},  {NFTA_LIMIT_UNIT, Kind::u64},
                       {NFTA_LIMIT_BURST, Kind::u32}, {NFTA_LIMIT_TYPE, Kind::u32},
                       {NFTA_LIMIT_FLAGS, Kind::u32}, {NFTA_LIMIT_PAD, Kind::octets}};
constexpr Rule expression_in_list[]{{NFTA_LIST_ELEM, Kind::expression}};
constexpr Policy expressions_in_list{expression_in_list, NFTA_LIST_MAX};
constexpr Rule dynset[]{{NFTA_DYNSET_SET_NAME, Kind::string},
                        {NFTA_DYNSET_SET_ID, Kind::u32},
                        {NFTA_DYNSET_OP, Kind::u32},
                        {NFTA_DYNSET_SREG_KEY, Kind::u32},
                        {NFTA_DYNSET_SREG_DATA, Kind::u32},
                        {NFTA_DYNSET_TIMEOUT, Kind::u64},
                        {NFTA_DYNSET_EXPR, Kind::expression},
                        {NFTA_DYNSET_PAD, Kind::octets},
                        {NFTA_DYNSET_FLAGS, Kind::u32},
                        {NFTA_DYNSET_EXPRESSIONS, Kind::nest, &expressions_in_list}};

/// The expressions of lbctl's rules.
struct Expression {
  std::string_view name;
  Policy policy;
};
constexpr Expression expressions[]{
    {"meta", {meta, NFTA_META_MAX}},
    {"payload", {payload, NFTA_PAYLOAD_MAX}},
    {"cmp", {compare, NFTA_CMP_MAX}},
    {"bitwise", {bitwise, NFTA_BITWISE_MAX}},
    {"lookup", {lookup, NFTA_LOOKUP_MAX}},
    {"exthdr", {exthdr, NFTA_EXTHDR_MAX}},
    {"immediate", {immediate, NFTA_IMMEDIATE_MAX}},
    {"counter", {counter, NFTA_COUNTER_MAX}},
    {"fwd", {forward, NFTA_FWD_MAX}},
    {"limit", {limit, NFTA_LIMIT_MAX}},
    {"dynset", {dynset, NFTA_DYNSET_MAX}},
    {"notrack", {{}, 0}},
};

constexpr Rule table[]{{NFTA_TABLE_NAME, Kind::string}, {NFTA_TABLE_FLAGS, Kind::u32},
                       {NFTA_TABLE_USE, Kind::u32},     {NFTA_TABLE_HANDLE, Kind::u64},
                       {NFTA_TABLE_PAD, Kind::octets},  {NFTA_TABLE_USERDATA, Kind::octets},
                       {NFTA_TABLE_OWNER, Kind::u32}};
constexpr Rule device[]{{NFTA_DEVICE_NAME, Kind::string}};
constexpr Policy device_policy{device, NFTA_DEVICE_MAX};
constexpr Rule hook[]{{NFTA_HOOK_HOOKNUM, Kind::u32},
                      {NFTA_HOOK_PRIORITY, Kind::u32},
                      {NFTA_HOOK_DEV, Kind::string},
                      {NFTA_HOOK_DEVS, Kind::nest, &device_policy}};
constexpr Policy hook_policy{hook, NFTA_HOOK_MAX};
constexpr Policy counter_policy{counter, NFTA_COUNTER_MAX};
constexpr Rule chain[]{
    {NFTA_CHAIN_TABLE, Kind::string}, {NFTA_CHAIN_HANDLE, Kind::u64},
    {NFTA_CHAIN_NAME, Kind::string},  {NFTA_CHAIN_HOOK, Kind::nest, &hook_policy},
    {NFTA_CHAIN_POLICY, Kind::u32},   {NFTA_CHAIN_USE, Kind::u32},
    {NFTA_CHAIN_TYPE, Kind::string},  {NFTA_CHAIN_COUNTERS, Kind::nest, &counter_policy},
    {NFTA_CHAIN_PAD, Kind::octets},   {NFTA_CHAIN_FLAGS, Kind::u32},
    {NFTA_CHAIN_ID, Kind::u32},       {NFTA_CHAIN_USERDATA, Kind::octets}};
constexpr Rule description[]{{NFTA_SET_DESC_SIZE, Kind::u32}, {NFTA_SET_DESC_CONCAT, Kind::octets}};
constexpr Policy description_policy{description, NFTA_SET_DESC_MAX};
constexpr Rule set[]{{NFTA_SET_TABLE, Kind::string},
                     {NFTA_SET_NAME, Kind::string},
                     {NFTA_SET_FLAGS, Kind::u32},
                     {NFTA_SET_KEY_TYPE, Kind::u32},
                     {NFTA_SET_KEY_LEN, Kind::u32},
                     {NFTA_SET_DATA_TYPE, Kind::u32},
                     {NFTA_SET_DATA_LEN, Kind::u32},
                     {NFTA_SET_POLICY, Kind::u32},
                     {NFTA_SET_DESC, Kind::nest, &description_policy},
                     {NFTA_SET_ID, Kind::u32},
                     {NFTA_SET_TIMEOUT, Kind::u64},
                     {NFTA_SET_GC_INTERVAL, Kind::u32},
                     {NFTA_SET_USERDATA, Kind::octets},
                     {NFTA_SET_PAD, Kind::octets},
                     {NFTA_SET_OBJ_TYPE, Kind::u32},
                     {NFTA_SET_HANDLE, Kind::u64},
                     {NFTA_SET_EXPR, Kind::expression},
                     {NFTA_SET_EXPRESSIONS, Kind::nest, &expressions_in_list}};
constexpr Rule element[]{{NFTA_SET_ELEM_KEY, Kind::nest, &data_policy},
                         {NFTA_SET_ELEM_KEY_END, Kind::nest, &data_policy},
                         {NFTA_SET_ELEM_DATA, Kind::nest, &data_policy},
                         {NFTA_SET_ELEM_FLAGS, Kind::u32},
                         {NFTA_SET_ELEM_TIMEOUT, Kind::u64},
                         {NFTA_SET_ELEM_EXPIRATION, Kind::u64},
                         {NFTA_SET_ELEM_USERDATA, Kind::octets},
                         {NFTA_SET_ELEM_PAD, Kind::octets},
                         {NFTA_SET_ELEM_EXPR, Kind::expression},
                         {NFTA_SET_ELEM_EXPRESSIONS, Kind::nest, &expressions_in_list}};
// libnftnl 1.2.4 takes the attributes of an element for those of a set, of which there are more,
// and writes the surplus behind its table.
constexpr Policy element_policy{element, NFTA_SET_MAX};
constexpr Rule elements[]{{NFTA_SET_ELEM_LIST_TABLE, Kind::string},
                          {NFTA_SET_ELEM_LIST_SET, Kind::string},
                          {NFTA_SET_ELEM_LIST_ELEMENTS, Kind::list, &element_policy},
                          {NFTA_SET_ELEM_LIST_SET_ID, Kind::u32}};
constexpr Policy no_policy{{}, 0};
constexpr Rule rule[]{
    {NFTA_RULE_TABLE, Kind::string}, {NFTA_RULE_CHAIN, Kind::string},
    {NFTA_RULE_HANDLE, Kind::u64},   {NFTA_RULE_EXPRESSIONS, Kind::nest, &expressions_in_list},
    {NFTA_RULE_POSITION, Kind::u64}, {NFTA_RULE_USERDATA, Kind::octets},
    {NFTA_RULE_PAD, Kind::octets},   {NFTA_RULE_ID, Kind::u32}};

using Octets = std::span<const std::uint8_t>;

bool fits(Octets octets, const Policy& policy);

/// Calls `each(type, payload)`; false as soon as that is, or if the attributes do not fill
/// `octets`.
template <class Each>
bool all_attributes(Octets octets, Each each) {
  while (!octets.empty()) {
    const auto* attribute = reinterpret_cast<const nlattr*>(octets.data());
    if (octets.size() < MNL_ATTR_HDRLEN || attribute->nla_len < MNL_ATTR_HDRLEN ||
        attribute->nla_len > octets.size())
      return false;
    const Octets inside = octets.subspan(MNL_ATTR_HDRLEN, attribute->nla_len - MNL_ATTR_HDRLEN);
    if (!each(mnl_attr_get_type(attribute), inside)) return false;
    octets = octets.subspan(std::min<std::size_t>(MNL_ALIGN(attribute->nla_len), octets.size()));
  }
  return true;
}

/// The name, once and first as the kernel puts it, and what belongs to it. libnftnl reads the name
/// without looking whether there is one.
bool fits_expression(Octets octets) {
  const Policy* inside = nullptr;
  const bool whole = all_attributes(octets, [&](std::uint16_t type, Octets payload_octets) {
    if (type == NFTA_EXPR_DATA) return inside != nullptr && fits(payload_octets, *inside);
    if (type != NFTA_EXPR_NAME) return inside != nullptr && type > NFTA_EXPR_MAX;
    if (inside != nullptr || payload_octets.empty() || payload_octets.back() != 0) return false;
    const std::string_view name(reinterpret_cast<const char*>(payload_octets.data()));
    for (const Expression& known : expressions)
      if (known.name == name) inside = &known.policy;
    return inside != nullptr;
  });
  return whole && inside != nullptr;
}

bool fits(Octets octets, const Rule& one) {
  switch (one.kind) {
    case Kind::u8:
      return octets.size() == 1;
    case Kind::u32:
      return octets.size() == 4;
    case Kind::u64:
      return octets.size() == 8;
    case Kind::string:
      return !octets.empty() && octets.back() == 0;
    case Kind::octets:
      return true;
    case Kind::value:
      return !octets.empty() && octets.size() <= NFT_DATA_VALUE_MAXLEN;
    case Kind::nest:
      return fits(octets, *one.inside);
    case Kind::list:
      return all_attributes(
          octets, [&](std::uint16_t, Octets member) { return fits(member, *one.inside); });
    case Kind::expression:
      return fits_expression(octets);
  }
  return false;
}

bool fits(Octets octets, const Policy& policy) {
  return all_attributes(octets, [&](std::uint16_t type, Octets inside) {
    for (const Rule& one : policy.rules)
      if (one.type == type) return fits(inside, one);
    return type > policy.known;
  });
}

Policy policy_of(std::uint16_t message) {
  switch (NFNL_MSG_TYPE(message)) {
    case NFT_MSG_NEWTABLE:
      return {table, NFTA_TABLE_MAX};
    case NFT_MSG_NEWCHAIN:
      return {chain, NFTA_CHAIN_MAX};
    case NFT_MSG_NEWSET:
      return {set, NFTA_SET_MAX};
    case NFT_MSG_NEWSETELEM:
      return {elements, NFTA_SET_ELEM_LIST_MAX};
    case NFT_MSG_NEWRULE:
      return {rule, NFTA_RULE_MAX};
    default:
      return no_policy;
  }
}

}  // namespace

bool well_formed(const nlmsghdr& message) {
  constexpr std::size_t skip = NLMSG_HDRLEN + MNL_ALIGN(sizeof(nfgenmsg));
  if (message.nlmsg_len < skip) return false;
  const auto* start = reinterpret_cast<const std::uint8_t*>(&message);
  return fits(Octets(start + skip, message.nlmsg_len - skip), policy_of(message.nlmsg_type));
}

}  // namespace lbctl::kernel::nft
