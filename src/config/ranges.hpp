// The ranges of the language's numbers: what decode refuses and what schema tells.
#pragma once

#include <cstdint>

namespace lbctl::config {

/// From `least` to `most`, both allowed. Durations in seconds.
struct Range {
  std::int64_t least = 0;
  std::int64_t most = 0;
  constexpr bool empty() const { return least == 0 && most == 0; }  ///< no range at all
  constexpr bool holds(std::int64_t value) const { return value >= least && value <= most; }
};

inline constexpr Range port_range{1, 65535};
inline constexpr Range port_base_range{1, 65534};  // ids begin at 1
inline constexpr Range fwmark_range{1, UINT32_MAX};
inline constexpr Range weight_range{0, 65535};
inline constexpr Range server_id_range{1, INT64_MAX};  // model::ServerId
inline constexpr Range rate_range{1, 1'000'000};
inline constexpr Range persistence_range{1, 31 * 24 * 3600};  // as ipvsadm(8) allows
inline constexpr Range netmask_v4_range{1, 32};
inline constexpr Range netmask_v6_range{1, 128};
inline constexpr Range threshold_range{0, INT32_MAX};  // as ipvsadm(8) allows
inline constexpr Range patience_range{1, 7 * 24 * 3600};
inline constexpr Range ipvs_timeout_range{1, 24 * 24 * 3600};  // the kernel's INT_MAX / HZ
inline constexpr Range switch_range{0, 1};
inline constexpr Range sync_id_range{0, 255};
inline constexpr Range sync_maxlen_range{1024, 65487};  // a backup takes less for 1024
inline constexpr Range sync_ttl_range{1, 255};
inline constexpr Range any_count_range{0, INT32_MAX};
inline constexpr Range long_time_range{0, 24 * 24 * 3600};  // kept in jiffies, INT_MAX of them
inline constexpr Range octet_range{0, 255};
inline constexpr Range mptcp_limit_range{0, 8};  // MPTCP_PM_ADDR_MAX
inline constexpr Range cid_config_range{0, 6};   // 0b111 is never routable
inline constexpr Range cid_id_length_range{1, 15};
inline constexpr Range cid_nonce_length_range{4, 18};
inline constexpr Range cid_version_range{1, 3};
inline constexpr Range cid_offset_range{0, 19};
inline constexpr Range cid_length_range{1, 20};

inline constexpr Range check_interval_range{1, 3600};
inline constexpr Range check_timeout_range{1, 60};
inline constexpr Range check_count_range{1, 100};
inline constexpr Range hold_down_range{1, 24 * 3600};
inline constexpr Range percent_range{1, 100};
inline constexpr Range reconcile_range{1, 3600};
inline constexpr Range http_status_range{100, 599};
inline constexpr Range quorum_range{1, 1'000'000};
inline constexpr Range hysteresis_range{0, 1'000'000};

}  // namespace lbctl::config
