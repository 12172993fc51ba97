#include "attachments.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <linux/if_link.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string_view>

#include "libbpf/libbpf_error.hpp"

namespace lbctl::kernel::xdp {

namespace {

constexpr std::string_view pin_prefix = "link-";

Result<Attachment> open_attachment(const std::string& path) {
  Attachment out;
  out.pin = path;
  const int fd = bpf_obj_get(path.c_str());
  if (fd < 0) return fail(bpf_error(fd, fmt::format("open {}", path)));
  out.fd = Fd(fd);
  bpf_link_info info{};
  __u32 length = sizeof info;
  if (const int error = bpf_obj_get_info_by_fd(fd, &info, &length); error < 0)
    return fail(bpf_error(error, fmt::format("read {}", path)));
  if (info.type != BPF_LINK_TYPE_XDP)
    return fail(Errc::conflict, fmt::format("{} is not an XDP link", path));
  out.device = info.xdp.ifindex;
  out.program = info.prog_id;
  return out;
}

Error attach_error(int error, model::XdpMode mode) {
  Error out = bpf_error(error, fmt::format("attach in {} mode", model::name(mode)));
  switch (-error) {
    case EOPNOTSUPP:
    case ERANGE:
    case EINVAL:
      return mode == model::XdpMode::native
                 ? std::move(out).with_hint(
                       "the driver cannot run XDP with this MTU or these "
                       "settings (LRO, queues); generic mode can")
                 : out;
    default:
      return out;
  }
}

}  // namespace

Result<std::vector<Attachment>> read_attachments(const std::string& pin_dir) {
  std::vector<Attachment> out;
  std::error_code error;
  for (std::filesystem::directory_iterator it(pin_dir, error), end; !error && it != end;
       it.increment(error)) {
    if (!it->path().filename().string().starts_with(pin_prefix)) continue;
    auto attachment = open_attachment(it->path().string());
    if (!attachment) return fail(std::move(attachment.error()));
    out.push_back(std::move(*attachment));
  }
  if (error && error != std::errc::no_such_file_or_directory)
    return fail_errno(fmt::format("list {}", pin_dir), error.value());
  return out;
}

bool is_in_force(const Attachment& attachment, const Link& link) {
  return link.program != 0 && attachment.device == link.index && attachment.program == link.program;
}

const Attachment* in_force(const std::vector<Attachment>& attachments, const Link& link) {
  const auto found = std::ranges::find_if(
      attachments, [&](const Attachment& attachment) { return is_in_force(attachment, link); });
  return found == attachments.end() ? nullptr : &*found;
}

Result<> attach(const Fd& program, const Link& link, model::XdpMode mode,
                const std::string& pin_dir) {
  LIBBPF_OPTS(bpf_link_create_opts, options,
              .flags = mode == model::XdpMode::native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE);
  const int fd = bpf_link_create(program.get(), static_cast<int>(link.index), BPF_XDP, &options);
  if (fd < 0) return fail(attach_error(fd, mode));
  const Fd created(fd);  // closing it detaches, unless it is pinned by then
  const std::string pin = fmt::format("{}/{}{}", pin_dir, pin_prefix, link.index);
  if (const int error = bpf_obj_pin(fd, pin.c_str()); error < 0)
    return fail(bpf_error(error, fmt::format("pin {}", pin)));
  return {};
}

Result<> replace(const Attachment& attachment, const Fd& program) {
  if (const int error = bpf_link_update(attachment.fd.get(), program.get(), nullptr); error < 0)
    return fail(bpf_error(error, "replace the XDP program"));
  return {};
}

Result<> detach(const Attachment& attachment) {
  // Explicitly, since the end of a pin frees the link only some time later.
  if (attachment.device != 0)
    if (const int error = bpf_link_detach(attachment.fd.get()); error < 0)
      return fail(bpf_error(error, "detach the XDP program"));
  if (unlink(attachment.pin.c_str()) < 0 && errno != ENOENT)
    return fail_errno(fmt::format("unpin {}", attachment.pin));
  return {};
}

}  // namespace lbctl::kernel::xdp
