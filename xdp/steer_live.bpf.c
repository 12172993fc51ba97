// SPDX-License-Identifier: GPL-2.0
/* Watches quic_steer from outside (fexit), for `lbctl explain --live`: the program itself
 * holds nothing for it and costs the same as before while nobody watches.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <stdbool.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "steer_live.h"

/* As much of the kernel's own structures as is read; libbpf finds the places. */
struct net_device {
	int ifindex;
} __attribute__((preserve_access_index));

struct xdp_rxq_info {
	struct net_device *dev;
} __attribute__((preserve_access_index));

struct xdp_buff {
	void *data;
	void *data_end;
	struct xdp_rxq_info *rxq;
} __attribute__((preserve_access_index));

/* One packet in so many is told. */
const volatile __u32 one_in = 1;

/* Packets that found the ring full. */
__u64 lost;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} events SEC(".maps");

/* Most of what comes to a server is TCP, which is of no interest. Whatever needs a closer
 * look is looked at by the reader.
 */
static bool is_other_traffic(const struct steer_event *event)
{
	const __be16 protocol = *(const __be16 *)&event->octets[12];
	const __u8 in_ipv4 = event->octets[14 + 9], in_ipv6 = event->octets[14 + 6];

	if (protocol == bpf_htons(ETH_P_IP))
		return in_ipv4 == IPPROTO_TCP;
	if (protocol == bpf_htons(ETH_P_IPV6))
		return in_ipv6 == IPPROTO_TCP;
	return protocol == bpf_htons(ETH_P_ARP);
}

SEC("fexit/quic_steer")
int BPF_PROG(watch, struct xdp_buff *xdp, int action)
{
	struct steer_event *event;
	__u32 length, kept;

	(void)ctx;
	if (one_in > 1 && bpf_get_prandom_u32() % one_in != 0)
		return 0;
	event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event) {
		__sync_fetch_and_add(&lost, 1);
		return 0;
	}
	__builtin_memset(event->octets, 0, sizeof(event->octets));
	length = (__u32)((__u64)xdp->data_end - (__u64)xdp->data);
	kept = length < STEER_LIVE_OCTETS ? length : STEER_LIVE_OCTETS;
	/* The verifier of Linux 6.1 follows a plain comparison only. */
	asm volatile("" : "+r"(kept));
	if (kept > STEER_LIVE_OCTETS ||
	    bpf_probe_read_kernel(event->octets, kept, xdp->data) < 0 ||
	    is_other_traffic(event)) {
		bpf_ringbuf_discard(event, 0);
		return 0;
	}
	event->time = bpf_ktime_get_ns();
	event->device = (__u32)xdp->rxq->dev->ifindex;
	event->action = (__u32)action;
	event->length = length;
	event->kept = kept;
	bpf_ringbuf_submit(event, 0);
	return 0;
}

char _license[] SEC("license") = "GPL";
