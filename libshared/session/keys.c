/* SPDX-License-Identifier: Apache-2.0 */
#include "session/keys.h"

#include "base/bytes.h"

#include <string.h>

void keys_from_noise(struct keys *k, struct noise *n, bool initiator)
{
	uint8_t out[3][NOISE_KEY_BYTES];
	noise_split(n, out);
	memcpy(k->send, out[initiator ? 0 : 1], AEAD_KEY_BYTES);
	memcpy(k->recv, out[initiator ? 1 : 0], AEAD_KEY_BYTES);
	memcpy(k->beat, out[2], CMAC_KEY_BYTES);
	explicit_bzero(out, sizeof out);
}

int keys_seal(const struct keys *k, uint32_t conn, uint64_t number, uint8_t *packet, size_t len)
{
	struct packet_header h = {PACKET_DATA, conn, (uint32_t)number & 0xffffff};
	packet_write_header(packet, &h);
	uint8_t *frames = packet + PACKET_HEADER;
	int err = aead_seal(k->send, number, packet, PACKET_HEADER, frames, len, frames);
	return err ? err : (int)(PACKET_HEADER + len + PACKET_TAG);
}

int keys_open(const struct keys *k, uint64_t number, uint8_t *packet, size_t len)
{
	uint8_t *sealed = packet + PACKET_HEADER;
	size_t sealed_len = len - PACKET_HEADER;
	int err = aead_open(k->recv, number, packet, PACKET_HEADER, sealed, sealed_len, sealed);
	return err ? err : (int)(sealed_len - PACKET_TAG);
}

static void beat_mac(const struct keys *k, uint64_t number, const uint8_t *packet,
		     uint8_t mac[CMAC_BYTES])
{
	uint8_t block[16];
	memcpy(block, packet, PACKET_HEADER);
	be_put(block + 8, number, 8);
	cmac_block(k->beat, block, mac);
}

void keys_write_beat(const struct keys *k, enum packet_type type, uint32_t conn, uint64_t number,
		     uint8_t *packet)
{
	uint8_t mac[CMAC_BYTES];
	struct packet_header h = {type, conn, (uint32_t)number & 0xffffff};
	packet_write_header(packet, &h);
	beat_mac(k, number, packet, mac);
	memcpy(packet + PACKET_HEADER, mac, HEARTBEAT_MAC);
}

bool keys_check_beat(const struct keys *k, uint64_t number, const uint8_t *packet)
{
	uint8_t mac[CMAC_BYTES];
	beat_mac(k, number, packet, mac);
	return bytes_equal_ct(mac, packet + PACKET_HEADER, HEARTBEAT_MAC);
}
