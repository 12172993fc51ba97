#include <doctest/doctest.h>

#include <array>
#include <cstring>

#include "netlink/nfnl_socket.hpp"

using namespace lbctl;
using kernel::netlink::parse_verdict;

namespace {

/// An NLMSG_ERROR as the kernel builds it under NETLINK_CAP_ACK and NETLINK_EXT_ACK.
struct ErrorMessage {
  alignas(nlmsghdr) std::array<char, 256> octets{};
  explicit ErrorMessage(int error, const char* words = nullptr) {
    nlmsghdr* header = mnl_nlmsg_put_header(octets.data());
    header->nlmsg_type = NLMSG_ERROR;
    header->nlmsg_flags = NLM_F_CAPPED;
    auto* body = static_cast<nlmsgerr*>(mnl_nlmsg_put_extra_header(header, sizeof(nlmsgerr)));
    body->error = error;
    body->msg.nlmsg_len = 4000;  // of the request, of which only the header came back
    body->msg.nlmsg_seq = 7;
    if (words != nullptr) {
      header->nlmsg_flags |= NLM_F_ACK_TLVS;
      mnl_attr_put_u32(header, NLMSGERR_ATTR_OFFS, 20);
      mnl_attr_put_strz(header, NLMSGERR_ATTR_MSG, words);
    }
  }
  nlmsghdr& header() { return *reinterpret_cast<nlmsghdr*>(octets.data()); }
};

}  // namespace

TEST_CASE("nfnl: a verdict has the number of its message, the errno and the kernel's words") {
  const auto refused = parse_verdict(ErrorMessage(-ENOENT, "no such set").header());
  CHECK(refused.seq == 7);
  CHECK(refused.sys == ENOENT);
  CHECK(refused.words == "no such set");
  const auto done = parse_verdict(ErrorMessage(0).header());
  CHECK(done.sys == 0);
  CHECK(done.words.empty());
}

TEST_CASE("nfnl: a verdict that is cut off anywhere is read without harm") {
  ErrorMessage whole(-ENOENT, "no such set");
  const std::uint32_t length = whole.header().nlmsg_len;
  for (std::uint32_t cut = NLMSG_HDRLEN; cut < length; ++cut) {
    // On the heap, in its own size: the sanitizer sees a read beyond the end.
    const std::vector<char> piece(whole.octets.begin(), whole.octets.begin() + cut);
    auto* header = reinterpret_cast<nlmsghdr*>(const_cast<char*>(piece.data()));
    header->nlmsg_len = cut;
    const auto verdict = parse_verdict(*header);
    CHECK(verdict.sys == (cut < NLMSG_HDRLEN + sizeof(nlmsgerr) ? EBADMSG : ENOENT));
  }
}
