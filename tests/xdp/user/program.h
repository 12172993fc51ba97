/* SPDX-License-Identifier: GPL-2.0 */
#ifndef USER_PROGRAM_H
#define USER_PROGRAM_H

#include "quic_steer.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The program's own. */
extern struct qs_tables tables;
extern struct qs_counters user_counters;

/* Run the program over a packet below 4 GiB; its verdict. The packet's beginning
 * may change: there must be room in front of it.
 */
int user_run(__u32 *begin, __u32 end);

#ifdef __cplusplus
}
#endif

#endif
