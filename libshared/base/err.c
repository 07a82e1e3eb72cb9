/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

const char *err_str(int err)
{
	switch (err) {
	case RS_OK: return "success";
	case RS_EINVAL: return "malformed";
	case RS_ELIMIT: return "over a limit";
	case RS_EAUTH: return "authentication failed";
	case RS_ENOMEM: return "out of memory";
	case RS_ESYS: return "system error";
	case RS_EDOWN: return "not connected";
	case RS_EBUSY: return "too many in flight";
	case RS_ETIMEOUT: return "timed out";
	case RS_ENOENT: return "not found";
	case RS_EAGAIN: return "incomplete";
	case RS_ELOST: return "connection lost";
	case RS_EREMOTE: return "refused by the other side";
	case RS_EEXIST: return "there already";
	default: return "unknown error";
	}
}
