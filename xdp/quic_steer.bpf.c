// SPDX-License-Identifier: GPL-2.0
/* Steers QUIC packets between real servers: a packet for a steered VIP:port
 * whose connection ID names another real server is sent back out of the device
 * that it came by, to that server's MAC address. IP addresses and ports stay.
 *
 * Everything that cannot be read or is not known is passed to the local stack,
 * which is where IPVS sent it.
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

#define QS_AES_SECTION SEC(".rodata.aes")
#define QS_FUNCTION    __noinline
#include "cid_decode.h"
#include "quic_steer.h"
#include "tables.bpf.h"
#include "parse.bpf.h"

static __always_inline __u64 mac_word(const __u8 *mac)
{
	return QS_MAC_WORD(*(const __u64 *)mac);
}

/* One hop further. XDP_TX does not touch the TTL; without this, servers whose
 * tables disagree could play a packet to and fro for ever.
 */
static __always_inline bool decrement_ttl(void *header, __u32 family)
{
	if (family == QS_V4) {
		struct iphdr *ip = header;
		/* RFC 1624: one less in the high octet of the word that holds the
		 * TTL is one more there in the checksum, with the carry.
		 */
		__u32 check = (__u32)ip->check + bpf_htons(0x0100);

		if (ip->ttl <= 1)
			return false;
		ip->ttl--;
		ip->check = (__u16)(check + (check >= 0xffff));
	} else {
		struct ipv6hdr *ip = header;

		if (ip->hop_limit <= 1)
			return false;
		ip->hop_limit--;
	}
	return true;
}

/* The frame came to our own address (is_self()), which becomes its source. */
static __always_inline void address_frame(struct ethhdr *eth, __u64 mac)
{
	__builtin_memcpy(eth->h_source, eth->h_dest, ETH_ALEN);
	*(__u32 *)&eth->h_dest[0] = (__u32)mac;
	*(__u16 *)&eth->h_dest[4] = (__u16)(mac >> 32);
}

/* Send the packet to the station @mac, on the device that it came by. */
static __always_inline enum qs_outcome send_to(struct packet *pkt, __u64 mac)
{
	if (!decrement_ttl(pkt->ip, pkt->family))
		return QS_TTL_EXPIRED;
	address_frame(pkt->eth, mac);
	return QS_STEERED;
}

struct found_cid {
	__u8 *octets;
	__u32 length; /* octets that are known to be it */
};

/* What an ICMP error quotes is a packet of ours: the connection ID that names
 * us, or the peer that sent it, is the source's. Short headers have none.
 */
static __always_inline enum qs_outcome find_quoted(const struct packet *pkt,
						   struct found_cid *cid)
{
	__u8 *quic = pkt->quic;
	__u32 dcid_len;

	if ((void *)(quic + LONG_CID) > pkt->end)
		return QS_TOO_SHORT;
	if (!is_long(quic))
		return QS_UNROUTABLE;
	dcid_len = quic[CID_LEN];
	if (dcid_len > QS_MAX_CID_LEN)
		return QS_UNROUTABLE;
	quic += LONG_CID + dcid_len;
	if ((void *)(quic + 1 + QS_MAX_CID_LEN) > pkt->end)
		return QS_TOO_SHORT;
	cid->octets = quic + 1;
	cid->length = quic[0];
	return QS_STEERED;
}

static __always_inline enum qs_outcome find_cid(const struct packet *pkt,
						const struct qs_service *service,
						struct found_cid *cid)
{
	__u8 *quic = pkt->quic;

	if (pkt->quoted)
		return find_quoted(pkt, cid);
	if ((void *)(quic + SHORT_CID + QS_MAX_CID_LEN) > pkt->end)
		return QS_TOO_SHORT;
	cid->octets = quic + SHORT_CID;
	cid->length = QS_MAX_CID_LEN;
	if (!is_long(quic))
		return QS_STEERED;
	if (service->flags & QS_KEEP_LONG)
		return QS_LONG_HEADER;
	if ((void *)(quic + LONG_CID + QS_MAX_CID_LEN) > pkt->end)
		return QS_TOO_SHORT;
	cid->octets = quic + LONG_CID;
	cid->length = quic[CID_LEN];
	return QS_STEERED;
}

#include "tunnel.bpf.h"

/* Where a packet goes with the connection ID @octets, of which 20 are readable
 * before @end and any number may be it. False: no slot fits.
 */
static __always_inline bool look_up_here(const struct qs_service *service,
					 const __u8 *octets, const void *end,
					 struct target *target)
{
	const struct qs_slot *slot = qs_find_slot(service, octets, QS_MAX_CID_LEN);

	if (!slot)
		return false;
	/* Apart, for then it is known in the common case that an id has 64 bits. */
	if (slot->reading == QS_PLAIN) {
		struct qs_id id = {};

		if (!qs_read_plain(slot, octets, end, &id.low))
			return false;
		*target = find_target(id, slot);
	} else {
		struct qs_id id;

		if (!qs_read_other(slot, octets, end, &id))
			return false;
		*target = find_target(id, slot);
	}
	return true;
}

/* The same of a copy, with @length octets: for all but the usual packets. The
 * verifier looks at it once, and not for each way to come to a connection ID.
 */
QS_FUNCTION int look_up_copy(const struct qs_service *service, const struct qs_cid *cid,
			     __u32 length, struct target *target)
{
	const struct qs_slot *slot;
	struct qs_id id;

	if (!service || !cid || !target)
		return 0;
	slot = qs_find_slot(service, cid->octet, length);
	if (!slot || !qs_read_copy(slot, cid, &id))
		return 0;
	*target = find_target(id, slot);
	return 1;
}

static __always_inline enum qs_outcome
look_up(const struct packet *pkt, const struct qs_service *service, struct target *target)
{
	struct qs_cid copy = {};
	struct found_cid cid;
	enum qs_outcome outcome = find_cid(pkt, service, &cid);

	if (outcome != QS_STEERED)
		return outcome;
	qs_copy_cid(&copy, cid.octets);
	return look_up_copy(service, &copy, cid.length, target) ? QS_STEERED
								: QS_UNROUTABLE;
}

/* The decision table for a UDP packet to a steered VIP:port, or an ICMP error
 * about one from there. @usual: it has a short header, in 21 octets or more.
 * @server: of whom a packet was sent to.
 */
static __always_inline enum qs_outcome steer(struct xdp_md *ctx, struct packet *pkt,
					     const struct qs_service *service,
					     const bool usual, __u32 *server)
{
	enum qs_outcome outcome;
	struct target target;

	if (!is_self(mac_word(pkt->eth->h_dest)))
		return QS_OTHER_STATION;
	if (is_peer(mac_word(pkt->eth->h_source)))
		return QS_FROM_PEER;
	if (!usual) {
		outcome = look_up(pkt, service, &target);
		if (outcome != QS_STEERED)
			return outcome;
	} else if (!look_up_here(service, pkt->quic + SHORT_CID, pkt->end, &target)) {
		return QS_UNROUTABLE;
	}
	switch ((target.word & QS_KIND) >> QS_KIND_SHIFT) {
	case QS_TO_LOCAL:
		return QS_LOCAL;
	case QS_TO_PEER:
		*server = target.counter;
		return send_to(pkt, target.word);
	case QS_TO_UNRESOLVED:
		return QS_UNRESOLVED;
	case QS_TO_TUNNEL:
		*server = target.counter;
		return wrap(ctx, pkt->ip - (void *)pkt->eth, pkt->family,
			    &tables.tunnels[target.word & (QS_TUNNEL_ROWS - 1)]);
	default:
		return QS_UNKNOWN_ID;
	}
}

static __always_inline int handle(struct xdp_md *ctx, struct packet *pkt,
				  const struct qs_vip *key, const bool usual)
{
	const struct qs_vip *vip = find_vip(key);
	const struct qs_service *service;
	enum qs_outcome outcome;
	__u32 row, server = 0;

	if (!vip)
		return XDP_PASS;
	row = LOAD(vip->row);
	service = &tables.services[row & (QS_SERVICE_ROWS - 1)];
	outcome = steer(ctx, pkt, service, usual, &server);
	if (outcome == QS_STEERED) {
		count_steered(row, server);
		return XDP_TX;
	}
	count(row, outcome);
	if (outcome == QS_TTL_EXPIRED ||
	    (outcome == QS_UNKNOWN_ID && (service->flags & QS_DROP_UNKNOWN)))
		return XDP_DROP;
	return XDP_PASS;
}

SEC("xdp")
int quic_steer(struct xdp_md *ctx)
{
	struct packet pkt = {
		.eth = (void *)(long)ctx->data,
		.end = (void *)(long)ctx->data_end,
	};
	struct qs_vip key = {};
	struct udphdr *udp;

	if (parse_usual_ipv4(&pkt, &key))
		return handle(ctx, &pkt, &key, true);
	if (parse_usual_ipv6(&pkt, &key))
		return handle(ctx, &pkt, &key, true);
	udp = parse(&pkt, &key);
	if (!udp) {
		if (pkt.wrapped)
			unwrap(ctx, pkt.ip - (void *)pkt.eth, pkt.family, pkt.wrapped);
		return XDP_PASS;
	}
	pkt.quic = (void *)(udp + 1);
	return handle(ctx, &pkt, &key, false);
}

char _license[] SEC("license") = "GPL";
