// SPDX-License-Identifier: GPL-2.0
/* What the steering program is measured by: the harness that runs one packet
 * again and again, and bare floors, each with a piece of the work more.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <stdbool.h>
#include <stddef.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "quic_steer.h"
#include "tables.bpf.h"
#include "harness.h"

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} measured SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct harness);
} harness_state SEC(".maps");

/* The floor's servers: by id, without a hash. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, __u64);
} flat_servers SEC(".maps");

/* Put back what a program may have changed (the first 64 octets), turn to the
 * next id and VIP, and go on with the measured program.
 */
SEC("xdp")
int harness(struct xdp_md *ctx)
{
	__u64 *packet = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	__u32 index = 0;
	struct harness *state = bpf_map_lookup_elem(&harness_state, &index);
	__u32 turn;

	if (!state || (void *)(packet + 8) > end)
		return XDP_ABORTED;
	for (int i = 0; i < 8; i++)
		packet[i] = state->packet[i];
	turn = state->turn++;
	if (state->id_mask) {
		__u32 at = state->id_at & 127;
		__u8 *id = (__u8 *)packet + at;

		if ((void *)(id + 2) > end)
			return XDP_ABORTED;
		*(__u16 *)id = bpf_htons((turn & state->id_mask) + 1);
	}
	if (state->vip_mask) {
		__u32 at = state->vip_at & 63;
		__u8 *vip = (__u8 *)packet + at;

		if ((void *)(vip + 1) > end)
			return XDP_ABORTED;
		*vip = turn & state->vip_mask;
	}
	bpf_tail_call(ctx, &measured, 0);
	return XDP_ABORTED;
}

SEC("xdp")
int floor_pass(struct xdp_md *ctx __attribute__((unused)))
{
	return XDP_PASS;
}

struct frame {
	struct ethhdr eth;
	struct iphdr ip;
	struct udphdr udp;
	__u8 quic[21];
} __attribute__((packed));

static __always_inline struct frame *parse(struct xdp_md *ctx)
{
	struct frame *frame = (void *)(long)ctx->data;

	if ((void *)(frame + 1) > (void *)(long)ctx->data_end)
		return NULL;
	if (frame->eth.h_proto != bpf_htons(ETH_P_IP) || frame->ip.version != 4 ||
	    frame->ip.ihl != 5 || frame->ip.protocol != IPPROTO_UDP ||
	    (frame->ip.frag_off & bpf_htons(0x3fff)))
		return NULL;
	return frame;
}

static __always_inline int send(struct frame *frame, __u64 mac)
{
	__builtin_memcpy(frame->eth.h_source, frame->eth.h_dest, ETH_ALEN);
	*(__u32 *)&frame->eth.h_dest[0] = mac;
	*(__u16 *)&frame->eth.h_dest[4] = mac >> 32;
	return XDP_TX;
}

static __always_inline const struct qs_vip *service_of(const struct frame *frame)
{
	struct qs_vip key = {
		.addr = {0, frame->ip.daddr},
		.port_family = QS_PORT_FAMILY(frame->udp.dest, QS_V4),
	};

	return find_vip(&key);
}

SEC("xdp")
int floor_tx(struct xdp_md *ctx)
{
	struct frame *frame = parse(ctx);

	return frame ? send(frame, 0x020000000002) : XDP_PASS;
}

SEC("xdp")
int floor_hash(struct xdp_md *ctx)
{
	struct frame *frame = parse(ctx);

	if (!frame || !service_of(frame))
		return XDP_PASS;
	return send(frame, 0x020000000002);
}

SEC("xdp")
int floor_full(struct xdp_md *ctx)
{
	struct frame *frame = parse(ctx);
	__u32 check, id;
	__u64 *mac;

	if (!frame || !service_of(frame))
		return XDP_PASS;
	id = bpf_ntohs(*(__u16 *)&frame->quic[2]);
	mac = bpf_map_lookup_elem(&flat_servers, &id);
	if (!mac || frame->ip.ttl <= 1)
		return XDP_PASS;
	check = (__u32)frame->ip.check + bpf_htons(0x0100);
	frame->ip.ttl--;
	frame->ip.check = check + (check >= 0xffff);
	return send(frame, *mac);
}

char _license[] SEC("license") = "GPL";
