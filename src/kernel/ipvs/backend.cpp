#include <linux/ip_vs.h>

#include "batch.hpp"
#include "codec.hpp"
#include "lbctl/kernel/ipvs.hpp"

namespace lbctl::kernel {

namespace {

using namespace ipvs;

class Ipvs final : public Backend {
 public:
  explicit Ipvs(genl::Socket socket) : socket_(std::move(socket)) {}

  model::Subsystem subsystem() const override { return model::Subsystem::ipvs; }

  Result<> observe(const model::Scope& scope, model::Observed& out) override {
    if (!scope.ipvs) return {};
    if (auto ok = find_family(); !ok) return ok;
    auto read = read_all(out);
    if (!read) return fail(explain_family(std::move(read.error())).during("read IPVS"));
    if (scope.ipvs_node)
      if (auto node = read_node(out.state.ipvs_node); !node)
        return fail(std::move(node.error()).during("read IPVS"));
    return {};
  }

  Outcome execute(std::span<const model::Operation> run) override {
    Outcome out;
    if (run.empty()) return out;
    if (auto ok = find_family(); !ok) {
      out.error = std::move(ok.error());
      return out;
    }
    while (out.done < run.size() && !out.error) {
      const auto rest = run.subspan(out.done);
      execute_batch(rest.first(batch_length(rest)), out);
    }
    return out;
  }

 private:
  Result<> find_family() {
    if (family_ != 0) return {};
    auto id = socket_.family(IPVS_GENL_NAME);
    if (!id) return fail(explain_family(std::move(id.error())));
    family_ = *id;
    return {};
  }

  Result<> read_all(model::Observed& out) {
    if (auto ok = read_services(out.state.ipvs); !ok) return ok;
    out.ipvs_counters.clear();
    for (auto& [key, service] : out.state.ipvs)
      if (auto ok = read_destinations(key, service, out.ipvs_counters); !ok)
        return fail(std::move(ok.error()).during(key.text()));
    return {};
  }

  Result<> read_node(model::IpvsNode& out) {
    auto request = encode_get_timeouts();
    if (!request) return fail(std::move(request.error()));
    auto read = socket_.single(family_, *request, [&](const nlmsghdr& message) -> Result<> {
      auto timeouts = decode_timeouts(message);
      if (!timeouts) return fail(std::move(timeouts.error()));
      out.timeouts = *timeouts;
      return {};
    });
    if (!read) return read;
    request = encode_list_daemons();
    if (!request) return fail(std::move(request.error()));
    return socket_.dump(family_, *request,
                        {.start = [&] { out.daemons.clear(); },
                         .message = [&](const nlmsghdr& message) -> Result<> {
                           auto entry = decode_daemon(message);
                           if (!entry) return fail(std::move(entry.error()));
                           out.daemons.insert_or_assign(entry->role, std::move(entry->daemon));
                           return {};
                         }});
  }

  Result<> read_services(model::IpvsState& out) {
    auto request = encode_list_services();
    if (!request) return fail(std::move(request.error()));
    return socket_.dump(family_, *request,
                        {.start = [&] { out.clear(); },
                         .message = [&](const nlmsghdr& message) -> Result<> {
                           auto entry = decode_service(message);
                           if (!entry) return fail(std::move(entry.error()));
                           if (*entry)
                             out.insert_or_assign((*entry)->key, std::move((*entry)->service));
                           return {};
                         }});
  }

  // The kernel lists the destinations of one service at a time and runs one dump per socket. Where
  // they fit in one piece (about 19 of them) this takes two system calls.
  Result<> read_destinations(const model::ServiceKey& key, model::VirtualService& service,
                             model::IpvsCounters& counters) {
    auto request = encode_list_destinations(key);
    if (!request) return fail(std::move(request.error()));
    std::vector<std::pair<model::DestinationKey, model::DestinationCounters>> read;
    auto dumped =
        socket_.dump(family_, *request,
                     {.start =
                          [&] {
                            service.destinations.clear();
                            read.clear();
                          },
                      .message = [&](const nlmsghdr& message) -> Result<> {
                        auto entry = decode_destination(message, key.address.family());
                        if (!entry) return fail(std::move(entry.error()));
                        service.destinations.insert_or_assign(entry->key, entry->destination);
                        read.emplace_back(entry->key, entry->counters);
                        return {};
                      }});
    std::uint32_t place = 0;
    for (auto& [destination, figures] : read) {
      figures.place = place++;
      counters.insert_or_assign({key, destination}, figures);
    }
    return dumped;
  }

  void execute_batch(std::span<const model::Operation> batch, Outcome& out) {
    std::vector<genl::Message> messages;
    messages.reserve(batch.size());
    std::optional<Error> unspeakable;  // what precedes an operation that can't be put into words
    for (const model::Operation& operation : batch) {
      auto message = encode(operation.action);
      if (!message) {
        unspeakable = std::move(message.error()).during(describe(operation.action));
        break;
      }
      messages.push_back(std::move(*message));
    }
    auto failures = socket_.transact(family_, messages);
    if (!failures) {
      out.error = std::move(failures.error()).during(describe(batch.front().action));
      if (messages.size() > 1)
        out.notes.push_back("whether the operations from \"" + describe(batch.front().action) +
                            "\" to \"" + describe(batch[messages.size() - 1].action) +
                            "\" took effect is not known");
      return;
    }
    settle(batch.first(messages.size()), *failures, out);
    if (!out.error) out.error = std::move(unspeakable);
  }

  genl::Socket socket_;
  std::uint16_t family_ = 0;  ///< 0: not looked up yet
};

}  // namespace

Result<std::unique_ptr<Backend>> open_ipvs() {
  auto socket = genl::Socket::open();
  if (!socket) return fail(std::move(socket.error()));
  return std::make_unique<Ipvs>(std::move(*socket));
}

}  // namespace lbctl::kernel
