#include <doctest/doctest.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>

#include <fstream>
#include <iterator>

#include "nft/batch.hpp"
#include "nft/decode.hpp"
#include "nft/forward_table.hpp"
#include "nft/refusal.hpp"

using namespace lbctl;
using kernel::nft::Batch;
using kernel::nft::Dump;

namespace {

constexpr std::uint32_t eth0_index = 3;

model::IpAddress ip(const char* text) {
  return model::IpAddress::parse(text).value();
}

model::SignalForward example() {
  model::SignalForward forward{.client_devices = {"eth0", "eth1"}, .server_device = "eth0"};
  forward.addresses[{ip("192.0.2.111")}] = {.server = ip("192.0.2.11"), .join_only = true};
  forward.addresses[{ip("2001:db8:100::111")}] = {.server = ip("2001:db8:100::11"),
                                                  .join_only = false};
  forward.addresses[{ip("192.0.2.100"), model::Port{44301}}] = {.server = ip("192.0.2.11"),
                                                                .join_only = true};
  return forward;
}

/// The messages of a batch, each in a piece of memory of its own with one zero behind it, as the
/// socket hands them over.
std::vector<std::vector<std::uint8_t>> messages_of(std::span<const std::uint8_t> batch) {
  std::vector<std::vector<std::uint8_t>> out;
  for (std::size_t at = 0; at < batch.size();) {
    const auto* header = reinterpret_cast<const nlmsghdr*>(batch.data() + at);
    const auto part = batch.subspan(at, header->nlmsg_len);
    out.emplace_back(part.begin(), part.end());
    out.back().push_back(0);
    at += MNL_ALIGN(header->nlmsg_len);
  }
  return out;
}

/// libnftnl numbers the elements in a request; the kernel gives each the type NFTA_LIST_ELEM.
void number_as_kernel(nlmsghdr& message) {
  if ((message.nlmsg_type & 0xff) != NFT_MSG_NEWSETELEM) return;
  auto* start = reinterpret_cast<char*>(&message);
  for (std::size_t offset = NLMSG_HDRLEN + 4; offset < message.nlmsg_len;) {
    auto* list = reinterpret_cast<nlattr*>(start + offset);
    offset += MNL_ALIGN(list->nla_len);
    if (mnl_attr_get_type(list) != NFTA_SET_ELEM_LIST_ELEMENTS) continue;
    auto* at = static_cast<char*>(mnl_attr_get_payload(list));
    for (const char* end = at + mnl_attr_get_payload_len(list); at < end;) {
      auto* element = reinterpret_cast<nlattr*>(at);
      element->nla_type = NFTA_LIST_ELEM | NLA_F_NESTED;
      at += MNL_ALIGN(element->nla_len);
    }
  }
}

kernel::nft::TableText made(const model::SignalForward& forward) {
  return kernel::nft::make_text(kernel::nft::make_forward_table(forward, eth0_index),
                                kernel::nft::forward_elements(forward));
}

std::vector<std::vector<std::uint8_t>> created(const model::SignalForward& forward) {
  Batch batch(1);
  batch.create(0, model::CreateForward{.forward = forward, .replaces = false}, eth0_index);
  auto messages = messages_of(batch.finish());
  for (auto& message : messages)
    number_as_kernel(*reinterpret_cast<nlmsghdr*>(message.data()));
  return messages;
}

const nlmsghdr& header(const std::vector<std::uint8_t>& message) {
  return *reinterpret_cast<const nlmsghdr*>(message.data());
}

Dump dumped(const model::SignalForward& forward) {
  Dump dump;
  for (const auto& message : created(forward))
    take_message(header(message), dump);
  // The request does not say how much is in the table, the kernel's answer does.
  dump.forward.text.set_head(0, 12);
  return dump;
}

std::optional<std::string> name_of(std::uint32_t index) {
  return index == eth0_index ? std::optional<std::string>("eth0") : std::nullopt;
}
bool exists(const std::string&) {
  return true;
}

std::vector<std::uint16_t> types(Batch& batch) {
  std::vector<std::uint16_t> out;
  for (const auto& message : messages_of(batch.finish()))
    out.push_back(header(message).nlmsg_type & 0xff);
  return out;
}

}  // namespace

TEST_CASE("nft: the table in libnftnl's words is the recorded one") {
  std::ifstream file(LBCTL_SOURCE_DIR "/tests/unit/kernel/nft_forward_table.txt");
  REQUIRE(file.good());
  const std::string recorded((std::istreambuf_iterator<char>(file)), {});
  CHECK(made(example()).text() == recorded);
}

TEST_CASE("nft: what is sent is understood as the same forward, intact") {
  CHECK(dumped(example()).forward.text.text() == made(example()).text());
  CHECK(decode(dumped(example()), name_of, exists).state ==
        model::NftState{.forward = example(), .intact = true});
}

TEST_CASE("nft: any departure is not intact") {
  const auto judge = [](const Dump& dump) { return decode(dump, name_of, exists).state.intact; };
  const Dump good = dumped(example());
  REQUIRE(judge(good));
  Dump dump = good;
  dump.forward.text.rules["guard"].pop_back();
  CHECK(!judge(dump));
  dump = good;
  std::swap(dump.forward.text.rules["guard"][2], dump.forward.text.rules["guard"][3]);
  CHECK(!judge(dump));
  dump = good;
  dump.forward.text.devices["guard"].erase("eth1");
  CHECK(!judge(dump));
  dump = good;
  dump.forward.text.set_head(NFT_TABLE_F_DORMANT, 12);
  CHECK(!judge(dump));
  dump = good;
  dump.forward.text.elements["signal4"][{10, 0, 0, 1}] = {};
  CHECK(!judge(dump));
  dump = good;
  dump.forward.text.elements["signal_error4"].clear();
  CHECK(!judge(dump));
  dump = good;
  dump.forward.text.elements["signal_port4"][{192, 0, 2, 1, 0, 0, 0, 0}] = {192, 0, 2, 2};
  CHECK(!judge(dump));
  dump = good;
  dump.forward.server_index.reset();
  CHECK(!judge(dump));
  CHECK(!decode(good, [](std::uint32_t) { return std::nullopt; }, exists).state.intact);
  CHECK(!decode(good, name_of, [](const std::string& device) {
           return device == "eth0";
         }).state.intact);
}

TEST_CASE("nft: no table is no forward") {
  CHECK(decode(Dump{}, name_of, exists).state == model::NftState{});
}

TEST_CASE("nft: messages cut off anywhere, or with any octet spoilt, are read without harm") {
  for (const auto& message : created(example())) {
    for (std::uint32_t cut = NLMSG_HDRLEN; cut <= header(message).nlmsg_len; ++cut) {
      std::vector<std::uint8_t> piece(message.begin(), message.begin() + cut);
      piece.push_back(0);
      reinterpret_cast<nlmsghdr*>(piece.data())->nlmsg_len = cut;
      Dump dump;
      take_message(header(piece), dump);
      CHECK(decode(dump, name_of, exists).state.intact == !dump.forward.present);
    }
    for (std::size_t at = NLMSG_HDRLEN; at < header(message).nlmsg_len; ++at) {
      auto spoilt = message;
      spoilt[at] ^= 0xff;
      Dump dump;
      take_message(header(spoilt), dump);
      (void)dump.forward.text.text();
    }
  }
}

TEST_CASE("nft: only what changes is sent") {
  const model::ForwardTarget old{.server = ip("192.0.2.11"), .join_only = true};
  const model::ForwardTarget moved{.server = ip("192.0.2.12"), .join_only = true};
  const model::ForwardTarget open{.server = ip("192.0.2.11"), .join_only = false};
  const auto sent = [&](std::optional<model::ForwardTarget> from, const model::ForwardTarget& to) {
    Batch batch(1);
    batch.set_signal(0, {.signal = {ip("192.0.2.111")}, .from = from, .to = to});
    auto all = types(batch);
    return std::vector<std::uint16_t>(all.begin() + 1, all.end() - 1);  // without the frame
  };
  using Types = std::vector<std::uint16_t>;
  CHECK(sent(std::nullopt, old) == Types{NFT_MSG_NEWSETELEM, NFT_MSG_NEWSETELEM});
  CHECK(sent(old, moved) == Types{NFT_MSG_DELSETELEM, NFT_MSG_NEWSETELEM});
  CHECK(sent(old, open) == Types{NFT_MSG_DELSETELEM});
  CHECK(sent(open, old) == Types{NFT_MSG_NEWSETELEM});
  CHECK(sent(old, old).empty());
}

TEST_CASE("nft: many elements are spread over messages that the kernel can take") {
  auto forward = example();
  for (unsigned i = 0; i < 2000; ++i) {
    const std::array<std::uint8_t, 4> octets{10, 0, static_cast<std::uint8_t>(i / 256),
                                             static_cast<std::uint8_t>(i % 256)};
    forward.addresses[{model::IpAddress::from_octets(octets).value()}] = {
        .server = ip("192.0.2.11"), .join_only = false};
  }
  for (const auto& message : created(forward))
    CHECK(header(message).nlmsg_len < 65536);
  CHECK(decode(dumped(forward), name_of, exists).state ==
        model::NftState{.forward = forward, .intact = true});
}

TEST_CASE("nft: a refusal names the operation, and the option that the kernel lacks") {
  const model::Action create = model::CreateForward{.forward = example(), .replaces = false};
  using Carries = Batch::Carries;
  const auto no_fwd = kernel::nft::refusal(
      {.seq = 1, .sys = ENOENT, .words = {}},
      {.carries = Carries::rule, .operation = 0, .object = "a rule of chain forward"}, create);
  CHECK(no_fwd.code() == Errc::unsupported);
  CHECK(no_fwd.text() ==
        "nft: create the forward: a rule of chain forward: No such file or directory (ENOENT)");
  CHECK(no_fwd.hint() == "modprobe nft_fwd_netdev (kernel option CONFIG_NFT_FWD_NETDEV)");
  const auto no_netdev = kernel::nft::refusal(
      {.seq = 1, .sys = EOPNOTSUPP, .words = "unknown hook"},
      {.carries = Carries::chain, .operation = 0, .object = "chain guard"}, create);
  CHECK(no_netdev.code() == Errc::unsupported);
  CHECK(no_netdev.hint().find("CONFIG_NF_TABLES_NETDEV") != std::string::npos);
  CHECK(no_netdev.text().find("\"unknown hook\"") != std::string::npos);
  const auto taken = kernel::nft::refusal(
      {.seq = 1, .sys = EEXIST, .words = {}},
      {.carries = Carries::element, .operation = 0, .object = "element of signal4"},
      model::SetSignal{.signal = {ip("192.0.2.111")}, .from = {}, .to = {}});
  CHECK(taken.code() == Errc::conflict);
}
