#include <linux/mptcp.h>
#include <net/if.h>

#include <algorithm>
#include <vector>

#include "codec.hpp"
#include "lbctl/kernel/mptcp.hpp"

namespace lbctl::kernel {

namespace {

using namespace mptcp;

class Mptcp final : public Backend {
 public:
  explicit Mptcp(genl::Socket socket) : socket_(std::move(socket)) {}

  model::Subsystem subsystem() const override { return model::Subsystem::mptcp; }

  Result<> observe(const model::Scope& scope, model::Observed& out) override {
    if (!scope.mptcp) return {};
    if (auto ok = find_family(); !ok) return ok;
    auto entries = list();
    if (!entries) return fail(std::move(entries.error()).during("read MPTCP endpoints"));
    out.state.mptcp.endpoints.clear();
    for (EndpointEntry& entry : *entries) {
      if (entry.implicit) continue;
      entry.endpoint.device = device_name(entry.device);
      out.state.mptcp.endpoints.insert_or_assign(entry.key, std::move(entry.endpoint));
    }
    auto limits = read_limits();
    if (!limits) return fail(std::move(limits.error()).during("read MPTCP limits"));
    out.state.mptcp.limits = *limits;
    return {};
  }

  Outcome execute(std::span<const model::Operation> run) override {
    Outcome out;
    if (run.empty()) return out;
    if (auto ok = find_family(); !ok) {
      out.error = std::move(ok.error());
      return out;
    }
    for (const model::Operation& operation : run) {
      auto done = execute_one(operation.action, out.notes);
      if (!done) {
        out.error = std::move(done.error());
        break;
      }
      ++out.done;
    }
    return out;
  }

 private:
  Result<> find_family() {
    if (family_ != 0) return {};
    auto id = socket_.family(MPTCP_PM_NAME);
    if (!id) return fail(explain_family(std::move(id.error())));
    family_ = *id;
    return {};
  }

  // A device that is gone leaves its number behind.
  static std::string device_name(std::uint32_t index) {
    if (index == 0) return {};
    char name[IF_NAMESIZE];
    if (if_indextoname(index, name) != nullptr) return name;
    return "if" + std::to_string(index);
  }

  Result<std::vector<EndpointEntry>> list() {
    std::vector<EndpointEntry> out;
    auto request = encode_list();
    if (!request) return fail(std::move(request.error()));
    auto read = socket_.dump(family_, *request,
                             {.start = [&] { out.clear(); },
                              .message = [&](const nlmsghdr& message) -> Result<> {
                                auto entry = decode_endpoint(message);
                                if (!entry) return fail(std::move(entry.error()));
                                out.push_back(std::move(*entry));
                                return {};
                              }});
    if (!read) return fail(std::move(read.error()));
    return out;
  }

  Result<model::MptcpLimits> read_limits() {
    auto request = encode_get_limits();
    if (!request) return fail(std::move(request.error()));
    std::optional<model::MptcpLimits> out;
    auto read = socket_.single(family_, *request, [&](const nlmsghdr& message) -> Result<> {
      auto limits = decode_limits(message);
      if (!limits) return fail(std::move(limits.error()));
      out = *limits;
      return {};
    });
    if (!read) return fail(std::move(read.error()));
    if (!out) return fail(Errc::invalid, "the kernel gave no limits");
    return *out;
  }

  Result<> execute_one(const model::Action& action, std::vector<std::string>& notes) {
    if (const auto* add = std::get_if<model::AddEndpoint>(&action)) return add_endpoint(*add);
    if (const auto* remove = std::get_if<model::RemoveEndpoint>(&action))
      return remove_endpoint(*remove, notes);
    if (const auto* set = std::get_if<model::SetEndpoint>(&action)) return change_endpoint(*set);
    if (const auto* set = std::get_if<model::SetMptcpLimits>(&action))
      return send(action, encode_set_limits(set->to));
    return fail(Errc::invalid, "this is not an operation on MPTCP");
  }

  Result<> add_endpoint(const model::AddEndpoint& add) {
    std::uint32_t device = 0;
    if (!add.endpoint.device.empty()) {
      device = if_nametoindex(add.endpoint.device.c_str());
      if (device == 0)
        return fail(Error::from_errno(ENODEV, "device " + add.endpoint.device)
                        .during(describe(model::Action(add))));
    }
    return send(model::Action(add), encode_add(add.key, add.endpoint, device));
  }

  Result<> change_endpoint(const model::SetEndpoint& set) {
    auto entries = list();
    if (!entries) return fail(std::move(entries.error()).during(describe(model::Action(set))));
    const auto it = std::ranges::find_if(*entries, [&](const EndpointEntry& entry) {
      return !entry.implicit && entry.key == set.key;
    });
    if (it == entries->end()) return fail(Error::from_errno(ENOENT, describe(model::Action(set))));
    return send(model::Action(set), encode_change(it->endpoint.id, set.to));
  }

  Result<> remove_endpoint(const model::RemoveEndpoint& remove, std::vector<std::string>& notes) {
    auto entries = list();
    if (!entries) return fail(std::move(entries.error()).during(describe(model::Action(remove))));
    const auto it = std::ranges::find_if(*entries, [&](const EndpointEntry& entry) {
      return !entry.implicit && entry.key == remove.key;
    });
    if (it == entries->end()) {
      notes.push_back(describe(model::Action(remove)) + ": was already gone");
      return {};
    }
    return send(model::Action(remove), encode_remove(remove.key, it->endpoint.id));
  }

  Result<> send(const model::Action& action, Result<genl::Message> message) {
    if (!message) return fail(std::move(message.error()).during(describe(action)));
    auto failures = socket_.transact(family_, {&*message, 1});
    if (!failures) return fail(std::move(failures.error()).during(describe(action)));
    if (failures->empty()) return {};
    genl::Verdict verdict = std::move(failures->front().verdict);
    if (const auto* add = std::get_if<model::AddEndpoint>(&action); add && verdict.sys == EINVAL)
      if (const auto present = list()) verdict = refine(add->key, std::move(verdict), *present);
    return fail(explain(action, verdict));
  }

  genl::Socket socket_;
  std::uint16_t family_ = 0;  ///< 0: not looked up yet
};

}  // namespace

Result<std::unique_ptr<Backend>> open_mptcp() {
  auto socket = genl::Socket::open();
  if (!socket) return fail(std::move(socket.error()));
  return std::make_unique<Mptcp>(std::move(*socket));
}

}  // namespace lbctl::kernel
