#include "maps.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <utility>

#include "libbpf/libbpf_error.hpp"
#include "quic_steer.h"

namespace lbctl::kernel::xdp {

#define TEXT_OF(number) #number
#define PIN_NAME(name, layout) name "-" TEXT_OF(layout)

std::uint32_t possible_cpus() {
  // libbpf reads a list that every Linux has.
  return static_cast<std::uint32_t>(std::max(libbpf_num_possible_cpus(), 1));
}

const std::array<MapShape, map_count>& map_shapes() {
  static const std::array<MapShape, map_count> shapes{{
      {PIN_NAME("tables", QS_LAYOUT), ".bss", sizeof(qs_tables), 1},
      {PIN_NAME("counters", QS_LAYOUT), "counters", sizeof(qs_counters), possible_cpus()},
  }};
  return shapes;
}

namespace {

Result<bpf_map_info> info_of(const Fd& map) {
  bpf_map_info info{};
  __u32 length = sizeof info;
  if (const int error = bpf_obj_get_info_by_fd(map.get(), &info, &length); error < 0)
    return fail(bpf_error(error, "read a BPF map's description"));
  return info;
}

bool fits(const bpf_map_info& info, const MapShape& shape) {
  return info.type == BPF_MAP_TYPE_ARRAY && info.key_size == sizeof(__u32) &&
         info.value_size == shape.value_size && info.max_entries == shape.entries &&
         (info.map_flags & BPF_F_MMAPABLE) != 0;
}

}  // namespace

Result<MapFds> open_pinned_maps(const std::string& pin_dir) {
  MapFds out;
  for (std::size_t i = 0; i < map_count; ++i) {
    const MapShape& shape = map_shapes()[i];
    const std::string path = pin_dir + "/" + shape.name;
    const int fd = bpf_obj_get(path.c_str());
    if (fd == -ENOENT) continue;
    if (fd < 0) return fail(bpf_error(fd, fmt::format("open {}", path)));
    out.fds[i] = Fd(fd);
    auto info = info_of(out.fds[i]);
    if (!info) return fail(std::move(info.error()).during(path));
    if (!fits(*info, shape))
      return fail(Error(Errc::conflict,
                        fmt::format("{} was made by another version of lbctl: values of {} octets "
                                    "and {} entries instead of {} and {}",
                                    path, info->value_size, info->max_entries, shape.value_size,
                                    shape.entries))
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
