/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BENCH_HARNESS_H
#define BENCH_HARNESS_H

#include <linux/types.h>

/* What each run begins with. A mask other than 0 turns the two octets of the
 * server id, or the last of the VIP, with every run.
 */
struct harness {
	__u64 packet[8];
	__u32 turn;
	__u32 id_at, id_mask;
	__u32 vip_at, vip_mask;
	__u32 unused;
};

#endif
