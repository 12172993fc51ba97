#include "program.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string_view>

#include "lbctl/kernel/xdp.hpp"
#include "libbpf/libbpf_error.hpp"
#include "quic_steer.h"
// Needs the types of the former.
#include <quic_steer.skel.h>

namespace lbctl::kernel {

std::string program_digest() {
  std::size_t size = 0;
  const void* start = quic_steer__elf_bytes(&size);
  std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a, 64 bits
  for (const char octet : std::string_view(static_cast<const char*>(start), size))
    hash = (hash ^ static_cast<unsigned char>(octet)) * 0x100000001b3;
  return fmt::format("{:016x}", hash);
}

namespace xdp {

namespace {

using Object = CHandle<bpf_object, &bpf_object__close>;

/// Followed by the digest. Asking the kernel about a program by its id takes CAP_SYS_ADMIN, which
/// lbctl can do without: what it has to know of its own program is in the name of the pin.
constexpr std::string_view program_prefix = "program-";
constexpr const char* fresh_pin = "new-program";

Result<Fd> keep(int fd) {
  const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  if (copy < 0) return fail_errno("keep a BPF file descriptor");
  return Fd(copy);
}

Result<> prepare_maps(bpf_object& object, const MapFds& existing) {
  for (std::size_t i = 0; i < map_count; ++i) {
    const MapShape& shape = map_shapes()[i];
    bpf_map* map = bpf_object__find_map_by_name(&object, shape.in_object);
    const int error = existing.fds[i] ? bpf_map__reuse_fd(map, existing.fds[i].get())
                                      : bpf_map__set_max_entries(map, shape.entries);
    if (error < 0) return fail(bpf_error(error, fmt::format("prepare the map {}", shape.name)));
  }
  return {};
}

Result<Program> take(const bpf_object& object) {
  Program out;
  auto program = keep(bpf_program__fd(bpf_object__find_program_by_name(&object, "quic_steer")));
  if (!program) return fail(std::move(program.error()));
  out.fd = std::move(*program);
  for (std::size_t i = 0; i < map_count; ++i) {
    auto map = keep(bpf_object__find_map_fd_by_name(&object, map_shapes()[i].in_object));
    if (!map) return fail(std::move(map.error()));
    out.maps.fds[i] = std::move(*map);
  }
  return out;
}

Result<> pin(const Fd& object, const std::string& path) {
  if (const int error = bpf_obj_pin(object.get(), path.c_str()); error < 0 && error != -EEXIST)
    return fail(bpf_error(error, fmt::format("pin {}", path)));
  return {};
}

Result<> make_pin_dir(const std::string& pin_dir) {
  std::error_code error;
  std::filesystem::create_directories(pin_dir, error);
  if (error) return fail_errno(fmt::format("make {}", pin_dir), error.value());
  struct statfs info{};
  if (statfs(pin_dir.c_str(), &info) < 0) return fail_errno(fmt::format("look at {}", pin_dir));
  if (static_cast<unsigned long>(info.f_type) != BPF_FS_MAGIC)
    return fail(Error(Errc::unsupported, fmt::format("{} is not in a BPF file system", pin_dir))
                    .with_hint("mount -t bpf bpf /sys/fs/bpf"));
  return {};
}

/// The names in the folder; none if it is not there.
Result<std::vector<std::string>> list_pins(const std::string& pin_dir) {
  std::vector<std::string> out;
  std::error_code error;
  for (std::filesystem::directory_iterator it(pin_dir, error), end; !error && it != end;
       it.increment(error))
    out.push_back(it->path().filename().string());
  if (error && error != std::errc::no_such_file_or_directory)
    return fail_errno(fmt::format("list {}", pin_dir), error.value());
  return out;
}

/// Links stay, too: they are attachments.
Result<> unpin_all_but(const std::string& pin_dir, const std::vector<std::string>& kept) {
  auto pins = list_pins(pin_dir);
  if (!pins) return fail(std::move(pins.error()));
  for (const std::string& name : *pins) {
    if (name.starts_with("link-") || std::ranges::find(kept, name) != kept.end()) continue;
    const std::string path = fmt::format("{}/{}", pin_dir, name);
    if (unlink(path.c_str()) < 0 && errno != ENOENT)
      return fail_errno(fmt::format("unpin {}", path));
  }
  return {};
}

std::string pin_of(std::string_view digest, const std::string& pin_dir) {
  return fmt::format("{}/{}{}", pin_dir, program_prefix, digest);
}

/// Nothing if the pin is of a program with another id.
Result<std::optional<PinnedProgram>> read_pinned(const std::string& path, std::uint32_t id) {
  const int fd = bpf_obj_get(path.c_str());
  if (fd < 0) return fail(bpf_error(fd, fmt::format("open {}", path)));
  PinnedProgram out;
  out.fd = Fd(fd);
  bpf_prog_info info{};
  __u32 length = sizeof info;
  int error = bpf_obj_get_info_by_fd(fd, &info, &length);
  if (error == 0 && info.id != id) return std::optional<PinnedProgram>{};
  // The first call tells how many maps there are, the second one reads their ids.
  if (error == 0) {
    out.maps.resize(info.nr_map_ids);
    info = {};
    info.nr_map_ids = static_cast<__u32>(out.maps.size());
    info.map_ids = reinterpret_cast<std::uintptr_t>(out.maps.data());
    error = bpf_obj_get_info_by_fd(fd, &info, &length);
  }
  if (error < 0) return fail(bpf_error(error, fmt::format("read {}", path)));
  return std::optional(std::move(out));
}

}  // namespace

Result<Program> load_program(const MapFds& existing) {
  LibbpfLog log;
  std::vector<char> verifier(std::size_t{1} << 20);
  LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = "quic_steer",
              .kernel_log_buf = verifier.data(), .kernel_log_size = verifier.size());
  std::size_t size = 0;
  const void* elf = quic_steer__elf_bytes(&size);
  const Object object(bpf_object__open_mem(elf, size, &options));
  if (!object) return fail(bpf_error(errno, "open the XDP program").kernel_said(log.text()));
  if (auto ok = prepare_maps(*object, existing); !ok) return fail(std::move(ok.error()));
  if (const int error = bpf_object__load(object.get()); error < 0) {
    const std::string_view said(verifier.data());
    return fail(bpf_error(error, "load the XDP program")
                    .kernel_said(last_words(said.empty() ? std::string_view(log.text()) : said)));
  }
  return take(*object);
}

Result<> pin_program(const Program& program, std::string_view digest, const std::string& pin_dir) {
  if (auto ok = make_pin_dir(pin_dir); !ok) return ok;
  for (std::size_t i = 0; i < map_count; ++i)
    if (auto ok = pin(program.maps.fds[i], fmt::format("{}/{}", pin_dir, map_shapes()[i].name));
        !ok)
      return ok;
  const std::string path = pin_of(digest, pin_dir);
  const std::string fresh = fmt::format("{}/{}", pin_dir, fresh_pin);
  unlink(fresh.c_str());  // left by a run that was killed between the next two steps
  if (auto ok = pin(program.fd, fresh); !ok) return ok;
  if (std::rename(fresh.c_str(), path.c_str()) < 0)
    return fail_errno(fmt::format("replace {}", path));
  return {};
}

Result<> unpin_program(const std::string& pin_dir) {
  if (auto ok = unpin_all_but(pin_dir, {}); !ok) return ok;
  if (rmdir(pin_dir.c_str()) < 0 && errno != ENOENT)
    return fail_errno(fmt::format("remove {}", pin_dir));
  return {};
}

Result<> unpin_strange(std::string_view digest, const std::string& pin_dir) {
  std::vector<std::string> ours = {fmt::format("{}{}", program_prefix, digest)};
  for (const auto& shape : map_shapes())
    ours.emplace_back(shape.name);
  return unpin_all_but(pin_dir, ours);
}

Result<std::optional<PinnedProgram>> find_program(std::uint32_t id, const std::string& pin_dir) {
  auto pins = list_pins(pin_dir);
  if (!pins) return fail(std::move(pins.error()));
  for (const std::string& name : *pins) {
    if (!name.starts_with(program_prefix)) continue;
    auto program = read_pinned(fmt::format("{}/{}", pin_dir, name), id);
    if (!program) return fail(std::move(program.error()));
    if (!*program) continue;
    (*program)->digest = name.substr(program_prefix.size());
    return program;
  }
  return std::optional<PinnedProgram>{};
}

std::optional<std::string> program_name(std::uint32_t id) {
  const Fd program(bpf_prog_get_fd_by_id(id));
  bpf_prog_info info{};
  __u32 length = sizeof info;
  if (!program || bpf_obj_get_info_by_fd(program.get(), &info, &length) < 0 || *info.name == '\0')
    return std::nullopt;
  return info.name;
}

}  // namespace xdp
}  // namespace lbctl::kernel
