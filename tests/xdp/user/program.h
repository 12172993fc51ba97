/* SPDX-License-Identifier: GPL-2.0 */
#ifndef USER_PROGRAM_H
#define USER_PROGRAM_H

#include "quic_steer.h"

#ifdef __cplusplus
extern "C" {
#endif

struct user_tables {
	struct qs_vip_bucket vips[1 << QS_VIP_BITS];
	struct qs_service services[QS_SERVICE_ROWS];
	struct qs_server_bucket servers[1 << QS_SERVER_BITS];
	struct qs_mac_bucket peer_macs[1 << QS_MAC_BITS];
	struct qs_settings settings;
	struct qs_counters counters;
};
extern struct user_tables user_tables;

/* Run the program over a packet below 4 GiB; its verdict. */
int user_run(__u32 begin, __u32 end);

#ifdef __cplusplus
}
#endif

#endif
