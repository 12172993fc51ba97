#include "socket_hook.hpp"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "lbctl/base/handle.hpp"
#include "lbctl/kernel/units.hpp"
#include "libbpf/libbpf_error.hpp"
#include "mptcpize.h"
// Needs the types of the former.
#include <mptcpize.skel.h>

namespace lbctl::kernel {

namespace units {

namespace {

using Object = CHandle<bpf_object, &bpf_object__close>;
using Link = CHandle<bpf_link, &bpf_link__destroy>;

std::string map_pin(const std::string& pin_dir) {
  return pin_dir + "/cgroups";
}
std::string link_pin(const std::string& pin_dir) {
  return pin_dir + "/link";
}

/// By the kernel's own list of its functions: what follows would fail with less clear words.
bool kernel_names_hook() {
  const LibbpfLog quiet;
  const CHandle<btf, &btf__free> kernel(btf__load_vmlinux_btf());
  return kernel &&
         btf__find_by_name_kind(kernel.get(), "update_socket_protocol", BTF_KIND_FUNC) > 0;
}

/// `map_path`: where its map is pinned, or found pinned already; empty: nowhere.
Result<Object> load(const std::string& map_path) {
  if (!kernel_names_hook())
    return fail(Errc::unsupported,
                "this kernel has no update_socket_protocol hook: it takes Linux 6.6 or later with "
                "CONFIG_MPTCP, CONFIG_BPF_JIT and CONFIG_DEBUG_INFO_BTF");
  LibbpfLog log;
  std::vector<char> verifier(std::size_t{1} << 16);
  LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = "mptcpize",
              .kernel_log_buf = verifier.data(), .kernel_log_size = verifier.size());
  std::size_t size = 0;
  const void* elf = mptcpize__elf_bytes(&size);
  Object object(bpf_object__open_mem(elf, size, &options));
  if (!object) return fail(bpf_error(errno, "open the socket program").kernel_said(log.text()));
  bpf_map* map = bpf_object__find_map_by_name(object.get(), "cgroups");
  int error = map_path.empty() ? 0 : bpf_map__set_pin_path(map, map_path.c_str());
  if (error == 0) error = bpf_object__load(object.get());
  if (error < 0) {
    const std::string_view said(verifier.data());
    return fail(bpf_error(error, "load the socket program")
                    .kernel_said(last_words(said.empty() ? std::string_view(log.text()) : said)));
  }
  return object;
}

/// Attached and pinned, and so in force when this process has gone.
Result<> attach(const std::string& pin_dir) {
  std::error_code made;
  std::filesystem::create_directories(pin_dir, made);
  if (made) return fail_errno("make " + pin_dir, made.value());
  auto object = load(map_pin(pin_dir));
  if (!object) return fail(std::move(object.error()));
  LibbpfLog log;
  const Link link(bpf_program__attach(bpf_object__find_program_by_name(object->get(), "mptcpize")));
  if (!link) return fail(bpf_error(errno, "attach the socket program").kernel_said(log.text()));
  // Somebody else was faster: his runs, over the same map, and ours goes.
  if (const int error = bpf_link__pin(link.get(), link_pin(pin_dir).c_str());
      error < 0 && error != -EEXIST)
    return fail(bpf_error(error, "pin " + link_pin(pin_dir)));
  return {};
}

/// The cgroups that the map has for the unit.
std::vector<std::uint64_t> cgroups_of(const Fd& map, const std::string& unit) {
  std::vector<std::uint64_t> out;
  std::uint64_t key = 0;
  for (int error = bpf_map_get_next_key(map.get(), nullptr, &key); error == 0;
       error = bpf_map_get_next_key(map.get(), &key, &key)) {
    mz_unit value{};
    if (bpf_map_lookup_elem(map.get(), &key, &value) == 0 && unit == value.name) out.push_back(key);
  }
  return out;
}

Result<> take_out(const Fd& map, const std::vector<std::uint64_t>& cgroups) {
  for (const std::uint64_t cgroup : cgroups)
    if (const int error = bpf_map_delete_elem(map.get(), &cgroup); error < 0 && error != -ENOENT)
      return fail(bpf_error(error, "take a cgroup out of the socket program's map"));
  return {};
}

}  // namespace

Result<> try_program() {
  const auto object = load("");
  if (object) return {};
  return fail(Error(object.error()).with_hint("the other way: lbctl mptcpize --way preload"));
}

Result<> enter(const std::string& pin_dir, const std::string& unit, std::uint64_t cgroup) {
  const Fd attached(bpf_obj_get(link_pin(pin_dir).c_str()));
  if (!attached)
    if (auto done = attach(pin_dir); !done) return done;
  const Fd map(bpf_obj_get(map_pin(pin_dir).c_str()));
  if (!map) return fail(bpf_error(errno, "open " + map_pin(pin_dir)));
  auto earlier = cgroups_of(map, unit);
  std::erase(earlier, cgroup);
  if (auto done = take_out(map, earlier); !done) return done;
  mz_unit value{};
  std::ranges::copy(unit.substr(0, sizeof value.name - 1), value.name);
  if (const int error = bpf_map_update_elem(map.get(), &cgroup, &value, BPF_ANY); error < 0)
    return fail(bpf_error(error, "enter the cgroup of " + unit));
  return {};
}

Result<> leave(const std::string& pin_dir, const std::string& unit) {
  const Fd map(bpf_obj_get(map_pin(pin_dir).c_str()));
  if (!map) return {};
  return take_out(map, cgroups_of(map, unit));
}

Result<> unload(const std::string& pin_dir) {
  // The link first: without its map nothing would be left to take a cgroup out of.
  for (const std::string& pin : {link_pin(pin_dir), map_pin(pin_dir)})
    if (::unlink(pin.c_str()) != 0 && errno != ENOENT) return fail_errno("unpin " + pin);
  if (::rmdir(pin_dir.c_str()) != 0 && errno != ENOENT) return fail_errno("remove " + pin_dir);
  return {};
}

}  // namespace units

Result<> check_socket_hook() {
  return units::try_program();
}

bool has_socket_hook() {
  // The kernel does not change while it runs, and its types are megabytes to read.
  static const bool has = check_socket_hook().has_value();
  return has;
}

}  // namespace lbctl::kernel
