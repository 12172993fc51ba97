#include "lbctl/kernel/ipvs.hpp"
#include "lbctl/kernel/mptcp.hpp"
#include "lbctl/kernel/nft.hpp"
#include "lbctl/kernel/rtnl.hpp"
#include "lbctl/kernel/sysctl.hpp"
#include "lbctl/kernel/tunnel.hpp"
#include "lbctl/kernel/units.hpp"
#include "lbctl/kernel/xdp.hpp"
#include "session.hpp"

namespace lbctl::cli {

namespace {

/// Stands in for a subsystem that cannot be opened: an error for a node that needs it, and no
/// bother to one that does not.
class Unopened : public kernel::Backend {
 public:
  Unopened(model::Subsystem subsystem, Error why) : subsystem_(subsystem), why_(std::move(why)) {}
  model::Subsystem subsystem() const override { return subsystem_; }
  Result<> observe(const model::Scope& scope, model::Observed&) override {
    if (subsystem_ == model::Subsystem::xdp && !scope.xdp) return {};
    return fail(why_);
  }
  kernel::Outcome execute(std::span<const model::Operation>) override { return {0, why_, {}}; }

 private:
  model::Subsystem subsystem_;
  Error why_;
};

}  // namespace

Result<RealKernel> RealKernel::open(const std::string& state_dir) {
  auto netns = engine::netns_name();
  if (!netns) return fail(std::move(netns.error()));
  RealKernel out;
  std::optional<Error> error;
  const auto add = [&](Result<std::unique_ptr<kernel::Backend>> backend) {
    if (backend) {
      out.backends_.push_back(std::move(*backend));
    } else {
      error = std::move(backend.error());
    }
  };
  add(kernel::open_ipvs());  // first: looking loads ip_vs, which brings its sysctls
  add(kernel::open_sysctl());
  add(kernel::open_nft());
  add(kernel::open_rtnl());
  add(kernel::open_mptcp());
  add(kernel::open_tunnels());
  auto bpffs = kernel::find_bpffs(state_dir);
  if (bpffs) {
    out.xdp_place_ = kernel::XdpPlace{*bpffs + "/lbctl/" + *netns};
    add(kernel::open_xdp(*out.xdp_place_));
  } else {
    add(std::make_unique<Unopened>(model::Subsystem::xdp, bpffs.error()));
  }
  auto units = kernel::unit_place(bpffs.value_or(""));
  if (!units) return fail(std::move(units.error()));
  add(kernel::open_units(std::move(*units)));
  if (error) return fail(std::move(*error));
  return out;
}

std::vector<kernel::Backend*> RealKernel::backends() const {
  std::vector<kernel::Backend*> out;
  out.reserve(backends_.size());
  for (const auto& backend : backends_)
    out.push_back(backend.get());
  return out;
}

Result<std::optional<kernel::XdpFigures>> RealKernel::steering_counters() const {
  if (!xdp_place_) return std::nullopt;
  return kernel::read_xdp_figures(*xdp_place_);
}

}  // namespace lbctl::cli
