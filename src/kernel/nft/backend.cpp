#include <fmt/format.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <net/if.h>

#include <array>
#include <optional>
#include <variant>

#include "batch.hpp"
#include "decode.hpp"
#include "lbctl/kernel/nft.hpp"
#include "netlink/nfnl_socket.hpp"
#include "refusal.hpp"
#include "request.hpp"

namespace lbctl::kernel {
namespace {

using netlink::NfnlSocket;
using nft::Batch;
using nft::Dump;

Result<std::uint32_t> device_index(const std::string& device) {
  const unsigned int index = if_nametoindex(device.c_str());
  if (index == 0)
    return fail(Error::from_errno(errno, fmt::format("nft: find device {}", device))
                    .with_hint(fmt::format("ip link show {}", device)));
  return index;
}

std::optional<std::string> device_name(std::uint32_t index) {
  std::array<char, IF_NAMESIZE> name{};
  if (if_indextoname(index, name.data()) == nullptr) return std::nullopt;
  return std::string(name.data());
}

bool device_exists(const std::string& device) {
  return if_nametoindex(device.c_str()) != 0;
}

class NftBackend final : public Backend {
 public:
  model::Subsystem subsystem() const override { return model::Subsystem::nft; }

  Result<> observe(const model::Scope& scope, model::Observed& out) override {
    if (!scope.nft) return {};
    const auto socket = open();
    if (!socket) return fail(socket.error());
    for (int tries = 0; tries < nft::dump_tries; ++tries) {
      Dump dump;
      auto read = read_tables(**socket, dump);
      if (read) {
        auto [state, counters] = nft::decode(dump, device_name, device_exists);
        out.state.nft = std::move(state);
        out.signal_counters = std::move(counters);
        return {};
      }
      if (read.error().sys() != EINTR) return fail(nft::failed_read(read.error()));
    }
    return fail(Errc::busy, "nft: read the ruleset: it changes all the time");
  }

  Outcome execute(std::span<const model::Operation> run) override {
    Outcome outcome;
    if (auto done = transact(run); !done) {
      outcome.error = std::move(done).error();
    } else {
      outcome.done = run.size();
    }
    return outcome;
  }

 private:
  /// The socket, open from the first use on; never null.
  Result<NfnlSocket*> open() {
    if (!socket_) {
      auto opened = NfnlSocket::open();
      if (!opened) return fail(std::move(opened).error().during("nft"));
      socket_.emplace(std::move(*opened));
    }
    return &*socket_;
  }

  static Result<std::uint32_t> read_generation(NfnlSocket& socket) {
    std::uint32_t found = 0;
    auto done = nft::get(
        socket, NFPROTO_UNSPEC, NFT_MSG_GETGEN, NLM_F_ACK,
        [&](const nlmsghdr& message) { found = nft::generation(message); }, [](nlmsghdr*) {});
    if (!done) return fail(std::move(done).error());
    return found;
  }

  static Result<> read_table(NfnlSocket& socket, nft::TableId id, Dump& dump) {
    const auto take = [&](const nlmsghdr& message) { nft::take_message(message, dump); };
    const std::uint16_t family = nft::info(id).family;
    if (auto done = nft::get(socket, family, NFT_MSG_GETTABLE, NLM_F_DUMP, take, [](nlmsghdr*) {});
        !done)
      return done;
    if (!dump.of(id).present) return {};
    // The kernel filters these three by table; each takes the name under its own number.
    const auto dump_of = [&](std::uint16_t type, std::uint16_t attribute) {
      return nft::get(socket, family, type, NLM_F_DUMP, take, [attribute](nlmsghdr* request) {
        mnl_attr_put_strz(request, attribute, model::nft_table_name);
      });
    };
    if (auto done = dump_of(NFT_MSG_GETCHAIN, NFTA_CHAIN_TABLE); !done) return done;
    if (auto done = dump_of(NFT_MSG_GETRULE, NFTA_RULE_TABLE); !done) return done;
    if (auto done = dump_of(NFT_MSG_GETSET, NFTA_SET_TABLE); !done) return done;
    return read_elements(socket, id, dump, take);
  }

  static Result<> read_elements(NfnlSocket& socket, nft::TableId id, const Dump& dump,
                                const NfnlSocket::OnMessage& take) {
    const nft::TableText& text = id == nft::TableId::forward ? dump.forward.text : dump.marks.text;
    std::vector<std::string> sets;
    for (const auto& [set, shape] : text.sets)
      if (!text.filled_by_packets.contains(set)) sets.push_back(set);
    for (const std::string& set : sets) {
      auto done =
          nft::get(socket, nft::info(id).family, NFT_MSG_GETSETELEM, NLM_F_DUMP, take,
                   [&set](nlmsghdr* request) {
                     mnl_attr_put_strz(request, NFTA_SET_ELEM_LIST_TABLE, model::nft_table_name);
                     mnl_attr_put_strz(request, NFTA_SET_ELEM_LIST_SET, set.c_str());
                   });
      // Gone since the list of sets was read: the generation differs too.
      if (!done && done.error().sys() == ENOENT)
        return fail(Error::from_errno(EINTR, fmt::format("read set {}", set)));
      if (!done) return done;
    }
    return {};
  }

  /// Many dumps are one picture only if the ruleset's generation stayed the same; else EINTR.
  static Result<> read_tables(NfnlSocket& socket, Dump& dump) {
    const auto before = read_generation(socket);
    if (!before) return fail(before.error());
    for (const nft::TableId id : {nft::TableId::forward, nft::TableId::marks})
      if (auto done = read_table(socket, id, dump); !done) return done;
    const auto after = read_generation(socket);
    if (!after) return fail(after.error());
    if (*before != *after) return fail(Error::from_errno(EINTR, "read: the ruleset changed"));
    return {};
  }

  static Result<> add(Batch& batch, std::size_t position, const model::Action& action) {
    if (const auto* create = std::get_if<model::CreateForward>(&action)) {
      for (const std::string& device : create->forward.client_devices)
        if (auto found = device_index(device); !found) return fail(std::move(found).error());
      std::uint32_t server_index = 0;
      if (!create->forward.server_device.empty()) {
        const auto server = device_index(create->forward.server_device);
        if (!server) return fail(server.error());
        server_index = *server;
      }
      batch.create(position, *create, server_index);
    } else if (std::holds_alternative<model::RemoveForward>(action)) {
      batch.remove(position, nft::TableId::forward);
    } else if (const auto* set = std::get_if<model::SetSignal>(&action)) {
      batch.set_signal(position, *set);
    } else if (const auto* remove = std::get_if<model::RemoveSignal>(&action)) {
      batch.remove_signal(position, *remove);
    } else if (const auto* marks = std::get_if<model::CreateMarks>(&action)) {
      batch.create(position, *marks);
    } else if (std::holds_alternative<model::RemoveMarks>(action)) {
      batch.remove(position, nft::TableId::marks);
    } else if (const auto* mark = std::get_if<model::SetMark>(&action)) {
      batch.set_mark(position, *mark);
    } else if (const auto* unmark = std::get_if<model::RemoveMark>(&action)) {
      batch.remove_mark(position, *unmark);
    } else {
      return fail(Errc::invalid, fmt::format("nft: operation {} is for subsystem {}", position,
                                             name(subsystem_of(action))));
    }
    return {};
  }

  Result<> transact(std::span<const model::Operation> run) {
    const auto socket = open();
    if (!socket) return fail(socket.error());
    Batch batch((*socket)->next_seq());
    for (std::size_t i = 0; i < run.size(); ++i)
      if (auto added = add(batch, i, run[i].action); !added) return added;
    if (batch.empty()) return {};
    const auto octets = batch.finish();
    (*socket)->skip_to(batch.next_seq());
    const auto refused = (*socket)->transact(octets);
    if (!refused) return fail(Error(refused.error()).during("nft"));
    if (refused->empty()) return {};
    const netlink::Verdict& first = refused->front();
    const Batch::Note& note = batch.note(first.seq);
    return fail(nft::refusal(first, note, run[note.operation].action));
  }

  std::optional<NfnlSocket> socket_;
};

}  // namespace

namespace nft {

Error failed_read(const Error& error) {
  // nfnetlink answers EINVAL for a subsystem that is not there, after it tried to load it.
  if (error.sys() == EINVAL || error.code() == Errc::unsupported)
    return Error(Errc::unsupported, "nft: this kernel has no nf_tables", error.sys())
        .with_hint("modprobe nf_tables (kernel options CONFIG_NF_TABLES, CONFIG_NF_TABLES_NETDEV)");
  return Error(error).during("nft: read the ruleset");
}

}  // namespace nft

Result<std::unique_ptr<Backend>> open_nft() {
  return std::make_unique<NftBackend>();
}

}  // namespace lbctl::kernel
