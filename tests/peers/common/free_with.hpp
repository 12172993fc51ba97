#pragma once

namespace peer {

/// A deleter of std::unique_ptr for a C library's own.
template <auto Free>
struct FreeWith {
  void operator()(auto* p) const noexcept { Free(p); }
};

}  // namespace peer
