/* SPDX-License-Identifier: GPL-2.0 */
/* The XDP program, the very text, compiled for user space. */
#define quic_steer user_quic_steer
#include "quic_steer.bpf.c"

#include "program.h"

struct qs_counters user_counters;

/* Of the only map that is looked up. */
void *user_lookup(const void *map, __u32 index)
{
	return map == &counters && index == 0 ? &user_counters : NULL;
}

int user_run(__u32 *begin, __u32 end)
{
	struct xdp_md ctx = {.data = *begin, .data_end = end};
	int verdict = quic_steer(&ctx);

	*begin = ctx.data;
	return verdict;
}
