#include "maps.hpp"

#include <bpf/bpf.h>
#include <fmt/format.h>
#include <sys/mman.h>

#include <utility>

#include "libbpf_error.hpp"
#include "quic_steer.h"

namespace lbctl::kernel::xdp {

const std::array<MapShape, map_count> map_shapes{{
    {"tables", ".bss", sizeof(qs_tables), true},
    {"counters", "counters", sizeof(qs_counters), false},
}};

namespace {

Result<bpf_map_info> info_of(const Fd& map) {
  bpf_map_info info{};
  __u32 length = sizeof info;
  if (const int error = bpf_obj_get_info_by_fd(map.get(), &info, &length); error < 0)
    return fail(bpf_error(error, "read a BPF map's description"));
  return info;
}

bool fits(const bpf_map_info& info, const MapShape& shape) {
  return info.type == (shape.mmapable ? BPF_MAP_TYPE_ARRAY : BPF_MAP_TYPE_PERCPU_ARRAY) &&
         info.key_size == sizeof(__u32) && info.value_size == shape.value_size &&
         info.max_entries == 1 && ((info.map_flags & BPF_F_MMAPABLE) != 0) == shape.mmapable;
}

}  // namespace

Result<MapFds> open_pinned_maps(const std::string& pin_dir) {
  MapFds out;
  for (std::size_t i = 0; i < map_count; ++i) {
    const std::string path = pin_dir + "/" + map_shapes[i].name;
    const int fd = bpf_obj_get(path.c_str());
    if (fd == -ENOENT) continue;
    if (fd < 0) return fail(bpf_error(fd, fmt::format("open {}", path)));
    out.fds[i] = Fd(fd);
    auto info = info_of(out.fds[i]);
    if (!info) return fail(std::move(info.error()).during(path));
    if (!fits(*info, map_shapes[i]))
      return fail(
          Error(Errc::conflict,
                fmt::format("{} was made by another version of lbctl: values of {} octets "
                            "and {} entries instead of {} and 1",
                            path, info->value_size, info->max_entries, map_shapes[i].value_size))
              .with_hint("run \"lbctl down\" with the version that made it, then apply"));
  }
  return out;
}

Result<std::uint32_t> map_id(const Fd& map) {
  auto info = info_of(map);
  if (!info) return fail(std::move(info.error()));
  return info->id;
}

Result<Mapping> Mapping::open(const Fd& map, std::size_t size) {
  void* start = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, map.get(), 0);
  if (start == MAP_FAILED) return fail_errno("map a BPF map into memory");
  return Mapping(start, size);
}

Mapping::Mapping(Mapping&& other) noexcept
    : start_(std::exchange(other.start_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  std::swap(start_, other.start_);
  std::swap(size_, other.size_);
  return *this;
}

Mapping::~Mapping() {
  if (start_ != nullptr) munmap(start_, size_);
}

}  // namespace lbctl::kernel::xdp
