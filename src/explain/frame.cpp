#include "lbctl/explain/frame.hpp"

#include <linux/if_ether.h>
#include <netinet/in.h>

#include <algorithm>

namespace lbctl::explain {
namespace {

using Bytes = std::span<const std::uint8_t>;

/// Takes a message apart from its beginning; `ok` tells whether there was enough of it.
class Reader {
 public:
  explicit Reader(Bytes octets) : left_(octets) {}

  Bytes take(std::size_t length) {
    if (length > left_.size()) ok_ = false;
    const Bytes out = left_.first(std::min(length, left_.size()));
    left_ = left_.subspan(out.size());
    return ok_ ? out : Bytes{};
  }
  std::uint8_t octet() {
    const Bytes one = take(1);
    return one.empty() ? std::uint8_t{0} : one[0];
  }
  std::uint16_t number() {
    const Bytes two = take(2);
    return two.empty() ? std::uint16_t{0} : static_cast<std::uint16_t>(two[0] << 8 | two[1]);
  }
  Bytes rest() const { return left_; }
  bool ok() const { return ok_; }

 private:
  Bytes left_;
  bool ok_ = true;
};

model::MacAddress mac(Bytes octets) {
  model::MacAddress out;
  std::ranges::copy(octets, out.octets.begin());
  return out;
}

/// The protocol behind up to two VLAN tags.
std::uint16_t behind_tags(Reader& in) {
  std::uint16_t protocol = in.number();
  for (int i = 0; i < 2 && (protocol == ETH_P_8021Q || protocol == ETH_P_8021AD); ++i) {
    in.take(2);
    protocol = in.number();
  }
  return protocol;
}

struct Ip {
  model::IpAddress source;
  model::IpAddress destination;
  std::uint8_t protocol = 0;
};

std::optional<Ip> read_ipv4(Reader& in) {
  const Bytes head = in.take(20);
  if (head.empty() || head[0] >> 4 != 4 || (head[0] & 0xf) < 5) return std::nullopt;
  if (((head[6] & 0x3f) | head[7]) != 0) return std::nullopt;  // a fragment
  in.take(std::size_t{4} * (head[0] & 0xf) - 20);
  return Ip{*model::IpAddress::from_octets(head.subspan(12, 4)),
            *model::IpAddress::from_octets(head.subspan(16, 4)), head[9]};
}

std::optional<Ip> read_ipv6(Reader& in) {
  const Bytes head = in.take(40);
  if (head.empty() || head[0] >> 4 != 6) return std::nullopt;
  Ip out{*model::IpAddress::from_octets(head.subspan(8, 16)),
         *model::IpAddress::from_octets(head.subspan(24, 16)), head[6]};
  while (out.protocol == IPPROTO_HOPOPTS || out.protocol == IPPROTO_ROUTING ||
         out.protocol == IPPROTO_DSTOPTS) {
    const Bytes extension = in.take(8);
    if (extension.empty()) return std::nullopt;
    in.take(std::size_t{8} * extension[1]);
    out.protocol = extension[0];
  }
  return out;
}

void read_quic(Reader& in, Frame& frame) {
  const Bytes first = in.take(1);
  if (first.empty()) return;
  frame.long_header = (first[0] & 0x80) != 0;
  Bytes cid = in.rest().first(std::min<std::size_t>(in.rest().size(), LBCTL_CID_LONGEST));
  if (frame.long_header) {
    in.take(4);  // the version
    cid = in.take(in.octet());
  }
  if (in.ok() && !cid.empty()) frame.cid.emplace(cid.begin(), cid.end());
}

std::optional<Ip> read_ip(Reader& in, bool v4) {
  return v4 ? read_ipv4(in) : read_ipv6(in);
}

}  // namespace

std::optional<Frame> read_frame(std::span<const std::uint8_t> octets) {
  Reader in(octets);
  Frame out;
  const Bytes stations = in.take(2 * ETH_ALEN);
  if (stations.empty()) return std::nullopt;
  out.to = mac(stations.first(ETH_ALEN));
  out.from = mac(stations.last(ETH_ALEN));
  const std::uint16_t protocol = behind_tags(in);
  if (protocol != ETH_P_IP && protocol != ETH_P_IPV6) return std::nullopt;
  auto ip = read_ip(in, protocol == ETH_P_IP);
  if (ip && (ip->protocol == IPPROTO_IPIP || ip->protocol == IPPROTO_IPV6)) {
    out.wrapped_for = ip->destination;
    ip = read_ip(in, ip->protocol == IPPROTO_IPIP);
  }
  if (!ip || ip->protocol != IPPROTO_UDP) return std::nullopt;
  const auto client_port = model::Port{in.number()};
  const auto port = model::Port{in.number()};
  in.take(4);  // length and checksum
  if (!in.ok()) return std::nullopt;
  out.flow = {ip->source, client_port, ip->destination, port, model::L4::udp};
  read_quic(in, out);
  return out;
}

}  // namespace lbctl::explain
