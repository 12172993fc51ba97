#include "rtnl_capture.hpp"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>

#include <cctype>
#include <cerrno>
#include <system_error>

namespace lbctl::tests {
namespace {

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

}  // namespace

Capture::Capture(const std::string& device) : fd_(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)) {
  if (!fd_) fail("packet socket");
  const int on = 1;
  setsockopt(fd_.get(), SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on);
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = static_cast<int>(if_nametoindex(device.c_str()));
  if (address.sll_ifindex == 0 ||
      ::bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    fail("bind the packet socket");
}

std::optional<Frame> Capture::next(const std::function<bool(const Frame&)>& wanted,
                                   std::chrono::milliseconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    pollfd one{.fd = fd_.get(), .events = POLLIN, .revents = 0};
    if (left.count() <= 0 || ::poll(&one, 1, static_cast<int>(left.count())) <= 0)
      return std::nullopt;
    Frame frame(65536);
    const ssize_t got = ::recv(fd_.get(), frame.data(), frame.size(), 0);
    if (got < 0) continue;
    frame.resize(static_cast<std::size_t>(got));
    if (wanted(frame)) return frame;
  }
}

void Capture::send(const Frame& frame) {
  if (::send(fd_.get(), frame.data(), frame.size(), 0) < 0) fail("send a frame");
}

Frame hex(const std::string& text) {
  Frame out;
  std::string digits;
  for (const char c : text)
    if (std::isxdigit(static_cast<unsigned char>(c)) != 0) digits += c;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2)
    out.push_back(static_cast<std::uint8_t>(std::stoul(digits.substr(i, 2), nullptr, 16)));
  return out;
}

}  // namespace lbctl::tests
