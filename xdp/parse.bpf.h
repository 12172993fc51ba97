/* SPDX-License-Identifier: GPL-2.0 */
/* From a frame to the UDP header of a packet, and to the VIP that it is for. A
 * function that returns NULL has met what it cannot read, or what is not UDP:
 * such packets belong to the kernel.
 */
#ifndef LBCTL_PARSE_BPF_H
#define LBCTL_PARSE_BPF_H

/* Octets that must follow the UDP header before anything is decoded.
 *
 * Short header: 1 + 20, so that any connection ID (at most 20 octets) can be
 * read without a further check. This turns no packet away that a QUIC stack
 * could use: header protection samples 16 octets, 4 octets after the start of
 * the packet number, and senders must pad for it (RFC 9001, 5.4.2); so a
 * 1-RTT packet has 1 + CID length + 4 + 16 octets or more. A stateless reset
 * has 21 too (RFC 9000, 10.3), and is not decodable anyway.
 *
 * Long header: 6 + 20. Initial, 0-RTT and Handshake packets of QUIC 1 and 2
 * have 6 + DCID + 1 + SCID + length + 4 + 16 octets at the least, and a server
 * answers no unknown version in a datagram below 1200 octets (14.1).
 */
#define SHORT_CID 1
#define LONG_CID  6
#define CID_LEN	  5
#define QUIC_LONG 0x80 /* in the first octet: a long header */

#define IP_MORE_OR_OFFSET 0x3fff /* MF and the fragment offset */
#define IP_OFFSET	  0x1fff
#define MAX_VLAN_TAGS	  2
#define MAX_EXTENSIONS	  4 /* headers between those of IPv6 and of UDP */

struct packet {
	struct ethhdr *eth;
	void *ip;     /* the IP header, */
	__u32 family; /* of this family (the verifier follows a number through
		       * branches, not whether a packet pointer is NULL) */
	bool quoted;  /* an ICMP error: what follows is the beginning of a packet of ours
		       */
	__u8 wrapped; /* IPPROTO_IPIP or _IPV6: what could not be read may be a tunnel's
		       */
	__u8 *quic;   /* what follows the UDP header */
	void *end;
};

struct vlan_tag {
	__be16 tci;
	__be16 next;
};

/* Any extension header but the fragment's: both know their length alike. */
struct extension {
	__u8 next;
	__u8 length; /* in units of 8 octets, without the first */
	__u8 type;   /* of a routing header, */
	__u8 left;   /* and how many stations it still has to see */
};

/* Of both families; <linux/icmp.h> does not compile for BPF. */
struct icmp_error {
	__u8 type;
	__u8 code;
	__be16 checksum;
	__be32 rest;
};

#define ICMP_UNREACHABLE   3
#define ICMP_TIME_EXCEEDED 11
#define ICMP_BAD_PARAMETER 12
#define ICMPV6_FIRST_ERROR 1 /* unreachable, too big, time exceeded, bad parameter */
#define ICMPV6_LAST_ERROR  4

static __always_inline void set_key_v4(struct qs_vip *key, __be32 address, __be16 port)
{
	key->addr[0] = 0;
	key->addr[1] = address;
	key->port_family = QS_PORT_FAMILY(port, QS_V4);
}

static __always_inline void set_key_v6(struct qs_vip *key, const struct in6_addr *address,
				       __be16 port)
{
	const void *octets = address;

	key->addr[0] = *(const __u64 *)octets;
	key->addr[1] = *(const __u64 *)(octets + 8);
	key->port_family = QS_PORT_FAMILY(port, QS_V6);
}

/* An ICMP error about a packet that we sent from a VIP: the UDP header that it
 * quotes. A whole one, but maybe nothing behind it: routers need not quote more.
 */
static __always_inline struct udphdr *
quoted_ipv4(struct packet *pkt, const struct iphdr *ip, void *icmp, struct qs_vip *key)
{
	const struct icmp_error *error = icmp;
	struct iphdr *inner = (void *)(error + 1);
	struct udphdr *udp;

	if ((void *)(inner + 1) > pkt->end)
		return NULL;
	if (error->type != ICMP_UNREACHABLE && error->type != ICMP_TIME_EXCEEDED &&
	    error->type != ICMP_BAD_PARAMETER)
		return NULL;
	if (inner->protocol != IPPROTO_UDP || inner->version != 4 || inner->ihl < 5 ||
	    inner->saddr != ip->daddr || (inner->frag_off & bpf_htons(IP_OFFSET)))
		return NULL;
	udp = (void *)inner + inner->ihl * 4;
	if ((void *)(udp + 1) > pkt->end)
		return NULL;
	pkt->quoted = true;
	set_key_v4(key, inner->saddr, udp->source);
	return udp;
}

static __always_inline struct udphdr *
quoted_ipv6(struct packet *pkt, const struct ipv6hdr *ip, void *icmp, struct qs_vip *key)
{
	const struct icmp_error *error = icmp;
	struct ipv6hdr *inner = (void *)(error + 1);
	struct udphdr *udp = (void *)(inner + 1);

	if ((void *)(udp + 1) > pkt->end)
		return NULL;
	if (error->type < ICMPV6_FIRST_ERROR || error->type > ICMPV6_LAST_ERROR)
		return NULL;
	if (inner->nexthdr != IPPROTO_UDP || inner->version != 6)
		return NULL;
	set_key_v6(key, &inner->saddr, udp->source);
	if (key->addr[0] != *(const __u64 *)&ip->daddr.s6_addr32[0] ||
	    key->addr[1] != *(const __u64 *)&ip->daddr.s6_addr32[2])
		return NULL;
	pkt->quoted = true;
	return udp;
}

/* The options have a variable length, so what follows is checked apart from the
 * IP header.
 */
static __always_inline struct udphdr *parse_ipv4(struct packet *pkt, void *pos,
						 struct qs_vip *key)
{
	struct iphdr *ip = pos;
	struct udphdr *udp;

	if ((void *)(ip + 1) > pkt->end)
		return NULL;
	if (ip->version != 4 || ip->ihl < 5 ||
	    (ip->frag_off & bpf_htons(IP_MORE_OR_OFFSET)))
		return NULL;
	pkt->ip = ip;
	pkt->family = QS_V4;
	udp = (void *)ip + ip->ihl * 4;
	if (ip->protocol == IPPROTO_IPIP || ip->protocol == IPPROTO_IPV6)
		pkt->wrapped = ip->protocol;
	if (ip->protocol != IPPROTO_UDP)
		return ip->protocol == IPPROTO_ICMP ? quoted_ipv4(pkt, ip, udp, key)
						    : NULL;
	if ((void *)(udp + 1) > pkt->end)
		return NULL;
	set_key_v4(key, ip->daddr, udp->dest);
	return udp;
}

/* Step over extension headers. Returns the header behind them, whose protocol
 * is then in *@protocol; NULL at a fragment, at a packet that is still to be
 * sent on by us, and where there are too many.
 */
static __always_inline void *skip_extensions(const struct packet *pkt, void *pos,
					     __u8 *protocol)
{
	for (int i = 0; i < MAX_EXTENSIONS; i++) {
		struct extension *header = pos;

		if (*protocol != IPPROTO_HOPOPTS && *protocol != IPPROTO_ROUTING &&
		    *protocol != IPPROTO_DSTOPTS)
			return pos;
		if ((void *)(header + 1) > pkt->end)
			return NULL;
		if (*protocol == IPPROTO_ROUTING && header->left != 0)
			return NULL;
		*protocol = header->next;
		pos += (header->length + 1) * 8;
	}
	return pos;
}

static __always_inline struct udphdr *parse_ipv6(struct packet *pkt, void *pos,
						 struct qs_vip *key)
{
	struct ipv6hdr *ip = pos;
	struct udphdr *udp = (void *)(ip + 1);
	__u8 protocol;

	if ((void *)(udp + 1) > pkt->end)
		return NULL;
	if (ip->version != 6)
		return NULL;
	pkt->ip = ip;
	pkt->family = QS_V6;
	protocol = ip->nexthdr;
	if (protocol == IPPROTO_IPIP || protocol == IPPROTO_IPV6)
		pkt->wrapped = protocol;
	if (protocol != IPPROTO_UDP) {
		udp = skip_extensions(pkt, udp, &protocol);
		if (!udp)
			return NULL;
		if (protocol == IPPROTO_ICMPV6)
			return quoted_ipv6(pkt, ip, udp, key);
		if (protocol != IPPROTO_UDP || (void *)(udp + 1) > pkt->end)
			return NULL;
	}
	set_key_v6(key, &ip->daddr, udp->dest);
	return udp;
}

/* The header is packed: by its member the compiler would load two octets. */
static __always_inline __be16 ether_type(const struct packet *pkt)
{
	return *(const __be16 *)((const void *)pkt->eth +
				 offsetof(struct ethhdr, h_proto));
}

/* The empty asm keeps the compiler from testing a sign, which takes two shifts. */
static __always_inline bool is_long(const __u8 *quic)
{
	__u32 first = *quic;

	asm volatile("" : "+r"(first));
	return first & QUIC_LONG;
}

/* The usual packets, which are almost all: no tag, no option, a short header of
 * QUIC, and all in one piece. Their places are constants, and one look at the
 * end of the packet suffices.
 */
static __always_inline bool parse_usual_ipv4(struct packet *pkt, struct qs_vip *key)
{
	struct iphdr *ip = (void *)(pkt->eth + 1);
	struct udphdr *udp = (void *)(ip + 1);
	__u8 *quic = (void *)(udp + 1);

	if ((void *)(quic + SHORT_CID + QS_MAX_CID_LEN) > pkt->end ||
	    ether_type(pkt) != bpf_htons(ETH_P_IP))
		return false;
	if (*(const __u8 *)ip != 0x45 || ip->protocol != IPPROTO_UDP ||
	    (ip->frag_off & bpf_htons(IP_MORE_OR_OFFSET)) || is_long(quic))
		return false;
	pkt->ip = ip;
	pkt->family = QS_V4;
	pkt->quic = quic;
	set_key_v4(key, ip->daddr, udp->dest);
	return true;
}

static __always_inline bool parse_usual_ipv6(struct packet *pkt, struct qs_vip *key)
{
	struct ipv6hdr *ip = (void *)(pkt->eth + 1);
	struct udphdr *udp = (void *)(ip + 1);
	__u8 *quic = (void *)(udp + 1);

	if ((void *)(quic + SHORT_CID + QS_MAX_CID_LEN) > pkt->end ||
	    ether_type(pkt) != bpf_htons(ETH_P_IPV6))
		return false;
	if (ip->version != 6 || ip->nexthdr != IPPROTO_UDP || is_long(quic))
		return false;
	pkt->ip = ip;
	pkt->family = QS_V6;
	pkt->quic = quic;
	set_key_v6(key, &ip->daddr, udp->dest);
	return true;
}

static __always_inline struct udphdr *parse(struct packet *pkt, struct qs_vip *key)
{
	void *pos = pkt->eth + 1;
	__be16 protocol;

	if (pos > pkt->end)
		return NULL;
	protocol = ether_type(pkt);
	if (protocol == bpf_htons(ETH_P_IP))
		return parse_ipv4(pkt, pos, key);
#pragma unroll
	for (int i = 0; i < MAX_VLAN_TAGS; i++) {
		const struct vlan_tag *tag = pos;

		if (protocol != bpf_htons(ETH_P_8021Q) &&
		    protocol != bpf_htons(ETH_P_8021AD))
			break;
		if ((const void *)(tag + 1) > pkt->end)
			return NULL;
		protocol = tag->next;
		pos += sizeof(*tag);
	}
	if (protocol == bpf_htons(ETH_P_IP))
		return parse_ipv4(pkt, pos, key);
	if (protocol == bpf_htons(ETH_P_IPV6))
		return parse_ipv6(pkt, pos, key);
	return NULL;
}

#endif
