/* SPDX-License-Identifier: GPL-2.0 */
/* Packets to and from peers beyond a router: IPv4 or IPv6 in either (RFC 2003,
 * 2473, 4213). The outer header's DSCP and ECN are zero (RFC 6040, 4.1:
 * compatibility mode), so that there is nothing to carry over when it is taken off.
 *
 * Both functions are apart from the rest, for they are long and are not in the
 * common packet's way, and every pointer into the packet is void after them.
 */
#ifndef LBCTL_TUNNEL_BPF_H
#define LBCTL_TUNNEL_BPF_H

#define MAX_FRAME_HEADER (sizeof(struct ethhdr) + MAX_VLAN_TAGS * sizeof(struct vlan_tag))
#define OUTER_TTL	 64

/* Calls @function with the lengths of the frame's header and of the outer one as
 * constants. The verifier loses the bounds of a packet where a number that it
 * does not know is added to its address.
 */
#define FOR_CONSTANT_LENGTHS(function, frame_header, outer_family, ...)                  \
	switch ((frame_header) << 4 | (outer_family)) {                                  \
	case 14 << 4 | QS_V4:                                                            \
		return function(14, QS_V4, __VA_ARGS__);                                 \
	case 14 << 4 | QS_V6:                                                            \
		return function(14, QS_V6, __VA_ARGS__);                                 \
	case 18 << 4 | QS_V4:                                                            \
		return function(18, QS_V4, __VA_ARGS__);                                 \
	case 18 << 4 | QS_V6:                                                            \
		return function(18, QS_V6, __VA_ARGS__);                                 \
	case 22 << 4 | QS_V4:                                                            \
		return function(22, QS_V4, __VA_ARGS__);                                 \
	case 22 << 4 | QS_V6:                                                            \
		return function(22, QS_V6, __VA_ARGS__);                                 \
	}
/* At the end of such a function: keeps the compiler from making them one again.
 * In user space, where nothing depends on it, compilers need not know the values.
 */
#ifdef __bpf__
#define KEEP_APART(frame_header, outer_family)                                           \
	asm volatile("" : : "i"(frame_header), "i"(outer_family))
#else
#define KEEP_APART(frame_header, outer_family)                                           \
	((void)(frame_header), (void)(outer_family))
#endif

static __always_inline __u32 header_length(__u32 family)
{
	return family == QS_V4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
}

static __always_inline void set_ether_type(__u8 *frame, __u32 header, __u32 family)
{
	*(__be16 *)(frame + header - 2) =
		family == QS_V4 ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6);
}

/* What the IP header at @header, of which 40 octets are readable or which is of
 * IPv4, says how long its packet is.
 */
static __always_inline __u32 packet_length(const void *header, __u32 family)
{
	const struct iphdr *v4 = header;
	const struct ipv6hdr *v6 = header;

	return family == QS_V4 ? bpf_ntohs(v4->tot_len)
			       : bpf_ntohs(v6->payload_len) + sizeof(*v6);
}

static __always_inline void put_outer_ipv4(struct iphdr *ip,
					   const struct qs_tunnel *tunnel, __u32 length,
					   __u8 protocol)
{
	__u16 *words = (__u16 *)ip;
	__u32 sum = 0;

	*ip = (struct iphdr){
		.version = 4,
		.ihl = 5,
		.tot_len = bpf_htons(length),
		.frag_off = bpf_htons(0x4000), /* whole, or not at all: no id is needed */
		.ttl = OUTER_TTL,
		.protocol = protocol,
		.saddr = (__u32)LOAD(tunnel->source[1]),
		.daddr = (__u32)LOAD(tunnel->destination[1]),
	};
#pragma unroll
	for (int i = 0; i < (int)sizeof(*ip) / 2; i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	ip->check = (__u16) ~((sum & 0xffff) + (sum >> 16));
}

static __always_inline void put_outer_ipv6(struct ipv6hdr *ip,
					   const struct qs_tunnel *tunnel, __u32 length,
					   __u8 protocol)
{
	__u64 *words = (__u64 *)ip;

	ip->version = 6;
	ip->priority = 0;
	ip->flow_lbl[0] = ip->flow_lbl[1] = ip->flow_lbl[2] = 0;
	ip->payload_len = bpf_htons(length - sizeof(*ip));
	ip->nexthdr = protocol;
	ip->hop_limit = OUTER_TTL;
	words[1] = LOAD(tunnel->source[0]);
	words[2] = LOAD(tunnel->source[1]);
	words[3] = LOAD(tunnel->destination[0]);
	words[4] = LOAD(tunnel->destination[1]);
}

static __always_inline int wrap_at(__u32 header, __u32 outer, struct xdp_md *ctx,
				   __u32 family, const struct qs_tunnel *tunnel,
				   __u64 mac)
{
	const __u32 added = header_length(outer);
	const __u8 protocol = family == QS_V4 ? IPPROTO_IPIP : IPPROTO_IPV6;
	__u8 *frame = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	__u8 saved[MAX_FRAME_HEADER];
	__u32 length;

	/* Whatever is steered has a UDP header and a connection ID, too. */
	if ((void *)(frame + header + sizeof(struct ipv6hdr)) > end)
		return QS_TOO_SHORT;
	length = packet_length(frame + header, family);
	if (length > (__u32)(end - (void *)frame) - header)
		return QS_TOO_SHORT;
	length += added;
	if (length > LOAD(tunnel->mtu))
		return QS_TOO_BIG;
	if (!decrement_ttl(frame + header, family))
		return QS_TTL_EXPIRED;
	__builtin_memcpy(saved, frame, header);
	if (bpf_xdp_adjust_head(ctx, -(int)added))
		return QS_TOO_BIG;

	frame = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	if ((void *)(frame + header + added) > end)
		return QS_TOO_BIG; /* never */
	__builtin_memcpy(frame, saved, header);
	address_frame((struct ethhdr *)frame, mac);
	set_ether_type(frame, header, outer);
	if (outer == QS_V4)
		put_outer_ipv4((void *)(frame + header), tunnel, length, protocol);
	else
		put_outer_ipv6((void *)(frame + header), tunnel, length, protocol);
	KEEP_APART(header, outer);
	return QS_STEERED;
}

/* Put the packet of @family, @header octets behind the frame's beginning, into
 * @tunnel and address the frame to the next hop. Its outcome; the packet is
 * changed only if that is QS_STEERED, or else is dropped.
 */
QS_FUNCTION int wrap(struct xdp_md *ctx, __u32 header, __u32 family,
		     const struct qs_tunnel *tunnel)
{
	__u64 mac;

	if (!tunnel)
		return QS_UNRESOLVED;
	mac = LOAD(tunnel->mac);
	if (!mac)
		return QS_UNRESOLVED;
	FOR_CONSTANT_LENGTHS(wrap_at, header, LOAD(tunnel->family), ctx, family, tunnel,
			     mac)
	return QS_UNRESOLVED;
}

/* The VIP that a peer sent what is in the packet for, or NULL. */
static __always_inline const struct qs_vip *
find_wrapped(struct packet *inner, __u32 header, __u32 outer, __u32 protocol)
{
	__u8 *frame = (void *)inner->eth;
	struct qs_vip key = {};

	if ((void *)(frame + header + header_length(outer)) > inner->end)
		return NULL;
	if (outer == QS_V4) {
		const struct iphdr *ip = (void *)(frame + header);

		if (ip->ihl != 5)
			return NULL;
		set_key_v4(&key, ip->saddr, 0);
	} else {
		set_key_v6(&key, &((const struct ipv6hdr *)(frame + header))->saddr, 0);
	}
	if (!find_entry(tables.senders, QS_SENDER_BITS, &key))
		return NULL;
	frame += header + header_length(outer);
	if (!(protocol == IPPROTO_IPIP ? parse_ipv4(inner, frame, &key)
				       : parse_ipv6(inner, frame, &key)))
		return NULL;
	return find_vip(&key);
}

static __always_inline int unwrap_at(__u32 header, __u32 outer, struct xdp_md *ctx,
				     __u32 protocol)
{
	const __u32 removed = header_length(outer);
	struct packet inner = {
		.eth = (void *)(long)ctx->data,
		.end = (void *)(long)ctx->data_end,
	};
	__u8 *frame = (void *)inner.eth;
	__u8 saved[MAX_FRAME_HEADER];
	const struct qs_vip *vip = find_wrapped(&inner, header, outer, protocol);

	if (!vip)
		return 0;
	if ((void *)(frame + header + removed) > inner.end || !is_self(mac_word(frame)))
		return 0;
	set_ether_type(frame, header, protocol == IPPROTO_IPIP ? QS_V4 : QS_V6);
	__builtin_memcpy(saved, frame, header);
	__builtin_memcpy(frame + removed, saved, header);
	bpf_xdp_adjust_head(ctx, (int)removed);
	count(LOAD(vip->row), QS_UNWRAPPED);
	KEEP_APART(header, outer);
	return 0;
}

/* A packet that could not be read and holds another of @protocol: if a peer sent
 * it to us for a steered VIP, leave what it holds, which goes to the local stack.
 * It was steered once and is not looked at again. All else stays as it is,
 * uncounted.
 */
QS_FUNCTION int unwrap(struct xdp_md *ctx, __u32 header, __u32 family, __u32 protocol)
{
	FOR_CONSTANT_LENGTHS(unwrap_at, header, family, ctx, protocol)
	return 0;
}

#endif
