/* SPDX-License-Identifier: GPL-2.0 */
/* The XDP program, the very text, compiled for user space. */
#define quic_steer user_quic_steer
#include "quic_steer.bpf.c"

#include "program.h"

struct user_tables user_tables;

void *user_lookup(const void *map, __u32 index)
{
	if (map == &vips)
		return index < 1u << QS_VIP_BITS ? &user_tables.vips[index] : NULL;
	if (map == &services)
		return index < QS_SERVICE_ROWS ? &user_tables.services[index] : NULL;
	if (map == &servers)
		return index < 1u << QS_SERVER_BITS ? &user_tables.servers[index] : NULL;
	if (map == &peer_macs)
		return index < 1u << QS_MAC_BITS ? &user_tables.peer_macs[index] : NULL;
	if (map == &settings)
		return &user_tables.settings;
	return &user_tables.counters;
}

int user_run(__u32 begin, __u32 end)
{
	struct xdp_md ctx = {.data = begin, .data_end = end};

	return quic_steer(&ctx);
}
