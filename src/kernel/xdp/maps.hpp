// The program's maps: what each one is, and its pin.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "lbctl/base/handle.hpp"
#include "lbctl/base/result.hpp"

namespace lbctl::kernel::xdp {

enum class MapName : std::size_t { tables, counters };
inline constexpr std::size_t map_count = 2;

/// An array that can be mapped into memory.
struct MapShape {
  const char* name;       ///< of the pin; the layout's number is in it
  const char* in_object;  ///< as libbpf calls it
  std::uint32_t value_size;
  std::uint32_t entries;
};
/// As xdp/tables.bpf.h declares them, in the order of MapName.
const std::array<MapShape, map_count>& map_shapes();
/// As many as there may be in this machine, online or not.
std::uint32_t possible_cpus();

struct MapFds {
  std::array<Fd, map_count> fds;
  const Fd& operator[](MapName name) const { return fds[static_cast<std::size_t>(name)]; }
};

/// Pinned maps of one folder; those that are not pinned are empty fds. A map of another shape is
/// Errc::conflict: something else made it.
Result<MapFds> open_pinned_maps(const std::string& pin_dir);

/// The kernel's id of a map.
Result<std::uint32_t> map_id(const Fd& map);

/// An array map's values, shared with the kernel.
class Mapping {
 public:
  static Result<Mapping> open(const Fd& map, std::size_t size);
  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&& other) noexcept;
  ~Mapping();

  template <class T>
  T& as() const {
    return *static_cast<T*>(start_);
  }

 private:
  Mapping(void* start, std::size_t size) : start_(start), size_(size) {}
  void* start_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace lbctl::kernel::xdp
