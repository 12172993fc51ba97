// For the tests of the XDP backend: a BPF file system of our own, a packet socket on a device, and
// a real server's namespace with one end of a veth pair.
#pragma once

#include <optional>
#include <string>

#include "lbctl/kernel/xdp.hpp"
#include "namespace.hpp"
#include "packet.hpp"

namespace lbctl::tests {

/// A BPF file system in a mount namespace of this process: nothing of it is left behind.
/// Returns a folder in it that does not exist yet, another one each time.
std::string fresh_pin_dir();
/// The folder that it is mounted on; mounts it if need be.
const std::string& bpffs();

/// A packet socket on a device of the namespace that it is made in.
class Tap {
 public:
  explicit Tap(const std::string& device);
  void send(const Bytes& frame) const;
  /// The next frame that arrives from elsewhere and has the destination port 443; nothing if none
  /// comes for a while.
  std::optional<Bytes> receive(int milliseconds = 3000) const;

 private:
  Fd fd_;
};

/// A server's namespace, whose eth0 is a veth pair with `wire` outside. Each has its MAC address.
struct Wire {
  Wire();
  Namespace server, outside;
  static constexpr const char* server_mac = "02:00:00:00:00:01";
  static constexpr const char* outside_mac = "02:00:00:00:00:fe";
};

/// Carries out actions, one operation each.
kernel::Outcome execute(kernel::Backend& backend, std::vector<model::Action> actions);
/// The same; fails the test if one fails. Returns the notes.
std::vector<std::string> carry_out(kernel::Backend& backend, std::vector<model::Action> actions);
/// What the backend reads; fails the test on an error.
model::XdpState observe(kernel::Backend& backend);

}  // namespace lbctl::tests
