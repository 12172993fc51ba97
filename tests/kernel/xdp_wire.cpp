#include "xdp_wire.hpp"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <system_error>

namespace lbctl::tests {

namespace {

void check(int result, const char* what) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), what);
}

class BpfMount {
 public:
  BpfMount() {
    char folder[] = "/tmp/lbctl-xdp-XXXXXX";
    if (mkdtemp(folder) == nullptr) check(-1, "mkdtemp");
    path_ = folder;
    check(unshare(CLONE_NEWNS), "unshare");
    check(mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "make mounts private");
    check(mount("bpf", folder, "bpf", 0, nullptr), "mount a BPF file system");
  }
  ~BpfMount() {
    umount2(path_.c_str(), MNT_DETACH);
    rmdir(path_.c_str());
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

bool is_to_port_443(const Bytes& frame) {
  const std::size_t at = frame.size() > 14 && frame[12] == 0x08 ? 14 + 20 + 2 : 14 + 40 + 2;
  return frame.size() > at + 1 && frame[at] == 0x01 && frame[at + 1] == 0xbb;
}

}  // namespace

const std::string& bpffs() {
  static const BpfMount mounted;
  return mounted.path();
}

std::string fresh_pin_dir() {
  static int number = 0;
  return bpffs() + "/run" + std::to_string(++number) + "/lbctl/netns-1";
}

Tap::Tap(const std::string& device) : fd_(socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL))) {
  check(fd_.get(), "open a packet socket");
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = static_cast<int>(if_nametoindex(device.c_str()));
  check(bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), "bind to a device");
}

void Tap::send(const Bytes& frame) const {
  check(static_cast<int>(::send(fd_.get(), frame.data(), frame.size(), 0)), "send a frame");
}

std::optional<Bytes> Tap::receive(int milliseconds) const {
  pollfd wait{.fd = fd_.get(), .events = POLLIN, .revents = 0};
  while (poll(&wait, 1, milliseconds) > 0) {
    Bytes frame(65536);
    sockaddr_ll from{};
    socklen_t length = sizeof from;
    const ssize_t got = recvfrom(fd_.get(), frame.data(), frame.size(), 0,
                                 reinterpret_cast<sockaddr*>(&from), &length);
    check(static_cast<int>(got), "receive a frame");
    frame.resize(static_cast<std::size_t>(got));
    if (from.sll_pkttype != PACKET_OUTGOING && is_to_port_443(frame)) return frame;
  }
  return std::nullopt;
}

Wire::Wire() {
  const Inside inside(server);
  run(std::string("ip link add eth0 address ") + server_mac + " type veth peer name wire address " +
      outside_mac + " netns " + outside.path() + " && ip link set eth0 up");
  const Inside there(outside);
  run("ip link set wire up");
}

kernel::Outcome execute(kernel::Backend& backend, std::vector<model::Action> actions) {
  std::vector<model::Operation> operations;
  for (auto& action : actions)
    operations.push_back({.phase = {}, .action = std::move(action), .why = {}});
  return backend.execute(operations);
}

std::vector<std::string> carry_out(kernel::Backend& backend, std::vector<model::Action> actions) {
  const std::size_t wanted = actions.size();
  kernel::Outcome outcome = execute(backend, std::move(actions));
  REQUIRE_MESSAGE(!outcome.error, (outcome.error ? outcome.error->text() : ""));
  REQUIRE(outcome.done == wanted);
  return outcome.notes;
}

model::XdpState observe(kernel::Backend& backend) {
  model::Observed out;
  auto ok = backend.observe({.sysctls = {}, .xdp = true}, out);
  REQUIRE_MESSAGE(ok, (ok ? "" : ok.error().text()));
  return std::move(out.state.xdp);
}

}  // namespace lbctl::tests
