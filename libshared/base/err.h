/* SPDX-License-Identifier: Apache-2.0 */
/* Error codes of every fallible function: 0 is success, negative is one of
 * these. A function that answers yes or no returns bool and never a code. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#define RS_MUST_CHECK __attribute__((warn_unused_result))
#define RS_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

enum rs_err {
	RS_OK = 0,
	RS_EINVAL = -1,   /* malformed or out of range; the caller's data is at fault */
	RS_ELIMIT = -2,   /* well-formed, but over a stated limit */
	RS_EAUTH = -3,    /* authentication or integrity check failed */
	RS_ENOMEM = -4,   /* out of memory */
	RS_ESYS = -5,     /* a system call failed; errno says which way */
	RS_EDOWN = -6,    /* the other side is not connected; nothing was sent */
	RS_EBUSY = -7,    /* a bounded queue is full; nothing was sent */
	RS_ETIMEOUT = -8, /* no answer in time; the outcome is unknown */
	RS_ENOENT = -9,   /* no such thing */
	RS_EAGAIN = -10,  /* more input is needed */
	RS_ELOST = -11,   /* connection lost after sending; the outcome is unknown */
	RS_EREMOTE = -12, /* the other side answered with an error */
	RS_EEXIST = -13,  /* it is there already */
};

/* A short English phrase for a code, for logs. Static storage. */
const char *err_str(int err);

#endif
