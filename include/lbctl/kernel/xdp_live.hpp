// The packets that the steering program handles, as they leave it: a second BPF program (fexit)
// sits on its end for as long as somebody looks, and tells of them through a ring buffer.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "lbctl/kernel/xdp.hpp"

namespace lbctl::kernel {

enum class SteerAction : std::uint8_t { passed, sent, dropped };
std::string_view name(SteerAction action);

/// A frame on its way: passed to the local stack as it came, or sent on with another station's
/// address, maybe wrapped. TCP and ARP are not told.
struct SteeredFrame {
  std::chrono::nanoseconds time{};  ///< CLOCK_MONOTONIC
  std::string device;
  SteerAction action = SteerAction::passed;
  std::size_t length = 0;                ///< octets of the frame
  std::span<const std::uint8_t> octets;  ///< its first 192 at most; valid during the call
};

class XdpLive {
 public:
  /// Tells of one frame in `one_in`, by chance. Errc::not_found: no device runs lbctl's program.
  /// Errc::unsupported: a kernel without BTF.
  static Result<XdpLive> open(const XdpPlace& place, std::uint32_t one_in);
  XdpLive(XdpLive&& other) noexcept;
  XdpLive& operator=(XdpLive&& other) noexcept;
  ~XdpLive();

  /// Waits for frames at most for `patience`, and follows a program that was replaced meanwhile.
  Result<> wait(std::chrono::milliseconds patience,
                const std::function<void(const SteeredFrame&)>& tell);
  /// Frames that were not told since nobody read fast enough.
  std::uint64_t lost() const;

 private:
  class Impl;
  explicit XdpLive(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace lbctl::kernel
