/* SPDX-License-Identifier: GPL-2.0 */
/* What steer_live.bpf.c tells of a packet, shared with C++. */
#ifndef LBCTL_STEER_LIVE_H
#define LBCTL_STEER_LIVE_H

#include <linux/types.h>

/* Room for two VLAN tags, two IP headers, an ICMP error and what QUIC puts first. */
#define STEER_LIVE_OCTETS 192

struct steer_event {
	__u64 time;   /* CLOCK_MONOTONIC, ns */
	__u32 device; /* interface index */
	__u32 action; /* XDP_PASS, … */
	__u32 length; /* of the frame */
	__u32 kept;   /* of it in @octets: as it left quic_steer */
	__u8 octets[STEER_LIVE_OCTETS];
};

#endif
