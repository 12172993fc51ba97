// What another node's metrics tell; it may be anybody who answers.
#include "peer_page.hpp"

#include <doctest/doctest.h>

using namespace lbctl;
using daemon::read_peer_page;

namespace {

const std::string page =
    "# HELP lbctl_config_hash Of the file in force; the same where the file is.\n"
    "# TYPE lbctl_config_hash gauge\n"
    "lbctl_config_hash{hash=\"0123456789abcdef\"} 1\n"
    "lbctl_cid_key_check{service=\"192.0.2.100:443\",scheme=\"0\",check=\"a1b2c3\"} 1\n"
    "lbctl_cid_key_check{service=\"[2001:db8::1]:443\",scheme=\"7\",check=\"000000\"} 1\n"
    "lbctl_rounds_total{result=\"good\"} 2\n";

}  // namespace

TEST_CASE("peer page: the hash of the file and the checks of keys") {
  const auto peer = read_peer_page(page);
  REQUIRE(peer);
  CHECK(peer->config_hash == "0123456789abcdef");
  CHECK(peer->key_checks ==
        model::KeyChecks{{{"192.0.2.100:443", 0}, "a1b2c3"}, {{"[2001:db8::1]:443", 7}, "000000"}});
}

TEST_CASE("peer page: what is cut off, is not there or is of another shape is not believed") {
  const auto hash_ends = page.find("} 1\n") + 4;
  for (std::size_t length = 0; length < page.size(); ++length)
    CHECK(read_peer_page(page.substr(0, length)).has_value() == (length >= hash_ends));
  for (const auto* line :
       {"lbctl_config_hash{hash=\"0123456789ABCDEF\"} 1\n",
        "lbctl_config_hash{hash=\"0123456789abcde\"} 1\n",
        "lbctl_config_hash{hash=\"0123456789abcdef0\"} 1\n",
        "lbctl_config_hash{hash=\"0123456789abcdef\"} 0\n", "lbctl_config_hash 1\n",
        " lbctl_config_hash{hash=\"0123456789abcdef\"} 1\n", "\n\n", "\xff\xfe\n"})
    CHECK_MESSAGE(!read_peer_page(line), line);
  const std::string hash = "lbctl_config_hash{hash=\"0123456789abcdef\"} 1\n";
  for (const auto* line :
       {"lbctl_cid_key_check{service=\"x", "lbctl_cid_key_check{service=\"x\",scheme=\"\n",
        "lbctl_cid_key_check{service=\"x\",scheme=\"99999999999999999999\",check=\"a1b2c3\"} 1\n",
        "lbctl_cid_key_check{service=\"x\",scheme=\"-1\",check=\"a1b2c3\"} 1\n",
        "lbctl_cid_key_check{service=\"x\",scheme=\"0\",check=\"a1b2cg\"} 1\n"})
    CHECK_MESSAGE(read_peer_page(hash + line)->key_checks.empty(), line);
}
