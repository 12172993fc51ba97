#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <linux/bpf.h>
#include <net/if.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <vector>

#include "attachments.hpp"
#include "lbctl/kernel/xdp_live.hpp"
#include "libbpf/libbpf_error.hpp"
#include "links.hpp"
#include "program.hpp"
#include "steer_live.h"
// Needs the types of the former.
#include <steer_live.skel.h>

namespace lbctl::kernel {

std::string_view name(SteerAction action) {
  switch (action) {
    case SteerAction::sent:
      return "sent";
    case SteerAction::dropped:
      return "dropped";
    case SteerAction::passed:
      break;
  }
  return "passed";
}

namespace xdp {
namespace {

using Object = CHandle<bpf_object, &bpf_object__close>;
using BpfLink = CHandle<bpf_link, &bpf_link__destroy>;
using Ring = CHandle<ring_buffer, &ring_buffer__free>;
using Tell = std::function<void(const SteeredFrame&)>;

/// What runs while the ring is read.
struct Reading {
  const Tell* tell = nullptr;
};

SteerAction action_of(std::uint32_t code) {
  return code == XDP_PASS                         ? SteerAction::passed
         : code == XDP_TX || code == XDP_REDIRECT ? SteerAction::sent
                                                  : SteerAction::dropped;
}

int on_event(void* context, void* data, std::size_t size) {
  const auto& reading = *static_cast<Reading*>(context);
  if (size < sizeof(steer_event) || reading.tell == nullptr) return 0;
  const auto& event = *static_cast<const steer_event*>(data);
  std::array<char, IF_NAMESIZE> device{};
  const char* name = if_indextoname(event.device, device.data());
  (*reading.tell)({.time = std::chrono::nanoseconds(event.time),
                   .device = name != nullptr ? name : fmt::format("device {}", event.device),
                   .action = action_of(event.action),
                   .length = event.length,
                   .octets = {event.octets, std::min<std::size_t>(event.kept, STEER_LIVE_OCTETS)}});
  return 0;
}

/// One program under watch.
class Watch {
 public:
  static Result<std::unique_ptr<Watch>> open(const Fd& program, std::uint32_t one_in) {
    LibbpfLog log;
    std::vector<char> verifier(std::size_t{1} << 16);
    std::size_t size = 0;
    const void* elf = steer_live__elf_bytes(&size);
    LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = "steer_live",
                .kernel_log_buf = verifier.data(), .kernel_log_size = verifier.size());
    auto out = std::make_unique<Watch>();
    out->object_.reset(bpf_object__open_mem(elf, size, &options));
    if (!out->object_) return failed(errno, "open the watching program", log.text());
    bpf_map* settings = bpf_object__find_map_by_name(out->object_.get(), ".rodata");
    bpf_program* program_text = bpf_object__find_program_by_name(out->object_.get(), "watch");
    int error = bpf_map__set_initial_value(settings, &one_in, sizeof one_in);
    if (error == 0)
      error = bpf_program__set_attach_target(program_text, program.get(), "quic_steer");
    if (error == 0) error = bpf_object__load(out->object_.get());
    if (error < 0)
      return failed(error, "load the watching program",
                    *verifier.data() != '\0' ? verifier.data() : log.text());
    out->link_.reset(bpf_program__attach_trace(program_text));
    if (!out->link_) return failed(errno, "watch the XDP program", log.text());
    const bpf_map* events = bpf_object__find_map_by_name(out->object_.get(), "events");
    out->ring_.reset(ring_buffer__new(bpf_map__fd(events), &on_event, &out->reading_, nullptr));
    if (!out->ring_) return failed(errno, "read the watching program's ring", log.text());
    return out;
  }

  /// Calls `tell` for what is there, after waiting for it.
  Result<> wait(std::chrono::milliseconds patience, const Tell& tell) {
    reading_.tell = &tell;
    const int error = ring_buffer__poll(ring_.get(), static_cast<int>(patience.count()));
    reading_.tell = nullptr;
    if (error < 0 && error != -EINTR)
      return fail(bpf_error(error, "read the watching program's ring"));
    return {};
  }

  std::uint64_t lost() const {
    const bpf_map* counters = bpf_object__find_map_by_name(object_.get(), ".bss");
    const __u32 row = 0;
    std::uint64_t out = 0;
    if (bpf_map_lookup_elem(bpf_map__fd(counters), &row, &out) < 0) return 0;
    return out;
  }

 private:
  static std::unexpected<Error> failed(int error, const char* what, std::string_view said) {
    Error out = bpf_error(error, what).kernel_said(last_words(said));
    const bool no_btf = std::abs(error) == ESRCH || std::abs(error) == EOPNOTSUPP;
    return fail(no_btf ? std::move(out).with_hint("it takes a kernel with BTF and a BPF JIT")
                       : std::move(out));
  }

  Object object_;
  BpfLink link_;
  Ring ring_;
  Reading reading_;
};

}  // namespace
}  // namespace xdp

class XdpLive::Impl {
 public:
  Impl(std::string pin_dir, std::uint32_t one_in) : pin_dir_(std::move(pin_dir)), one_in_(one_in) {}

  /// Watches the programs that devices run now, and those alone.
  Result<> follow() {
    auto attachments = xdp::read_attachments(pin_dir_);
    if (!attachments) return fail(std::move(attachments.error()));
    std::map<std::uint32_t, std::unique_ptr<xdp::Watch>> now;
    for (const auto& attachment : *attachments) {
      if (attachment.device == 0 || now.contains(attachment.program)) continue;
      auto known = watches_.extract(attachment.program);
      if (!known.empty()) {
        now.insert(std::move(known));
        continue;
      }
      auto program = xdp::find_program(attachment.program, pin_dir_);
      if (!program) return fail(std::move(program.error()));
      if (!*program) continue;  // somebody replaces it this very moment
      auto watch = xdp::Watch::open((*program)->fd, one_in_);
      if (!watch) return fail(std::move(watch.error()));
      now.emplace(attachment.program, std::move(*watch));
    }
    for (const auto& [id, watch] : watches_)
      lost_before_ += watch->lost();
    watches_ = std::move(now);
    return {};
  }

  Result<> wait(std::chrono::milliseconds patience, const xdp::Tell& tell) {
    for (const auto& [id, watch] : watches_)
      if (auto ok = watch->wait(patience / static_cast<int>(watches_.size()), tell); !ok) return ok;
    return follow();
  }

  bool empty() const { return watches_.empty(); }

  std::uint64_t lost() const {
    std::uint64_t out = lost_before_;
    for (const auto& [id, watch] : watches_)
      out += watch->lost();
    return out;
  }

 private:
  std::string pin_dir_;
  std::uint32_t one_in_;
  std::map<std::uint32_t, std::unique_ptr<xdp::Watch>> watches_;  ///< by the program's id
  std::uint64_t lost_before_ = 0;
};

XdpLive::XdpLive(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
XdpLive::XdpLive(XdpLive&& other) noexcept = default;
XdpLive& XdpLive::operator=(XdpLive&& other) noexcept = default;
XdpLive::~XdpLive() = default;

Result<XdpLive> XdpLive::open(const XdpPlace& place, std::uint32_t one_in) {
  auto impl = std::make_unique<Impl>(place.pin_dir, one_in);
  if (auto ok = impl->follow(); !ok) return fail(std::move(ok.error()));
  if (impl->empty())
    return fail(Error(Errc::not_found, "no device runs the XDP program of lbctl")
                    .with_hint("lbctl apply attaches it"));
  return XdpLive(std::move(impl));
}

Result<> XdpLive::wait(std::chrono::milliseconds patience,
                       const std::function<void(const SteeredFrame&)>& tell) {
  return impl_->wait(patience, tell);
}

std::uint64_t XdpLive::lost() const {
  return impl_->lost();
}

}  // namespace lbctl::kernel
