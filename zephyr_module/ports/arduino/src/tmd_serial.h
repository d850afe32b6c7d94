/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A store that is updated over a serial line, by samples/arduino/send.py on a PC: frames and what they
 * ask for, without a port. Bytes go in one by one, and come out as a reply:
 *
 *	tmd_serial_begin(&serial, &config);            once: mounts the store
 *	tmd_serial_open(&serial);                      the model to run: serial.model
 *	n = tmd_serial_take(&serial, byte, millis);    for each byte; send serial.reply, n bytes
 *	tmd_serial_waits(&serial)                      stay a while: a frame has begun, and its rest comes
 *
 * A frame, both ways; numbers are little-endian:
 *
 *	0xA5, command, sequence, length (2 bytes), payload, CRC-32 of command to payload (4 bytes)
 *
 * The PC asks, and sends nothing before it has the answer, or has waited long enough to ask again with
 * the same sequence. So a device may be deaf while it writes flash. What is no frame, on either side, is
 * passed over: a sketch may print what it likes between its answers.
 *
 *	command        payload                     reply
 *	1 STATUS                                   state
 *	2 BEGIN        bytes, CRC-32 of the patch  next
 *	3 DATA         offset, bytes of the patch  next
 *	4 FINISH       CRC-32 of the patch         state
 *	5 CONFIRM, 6 REVERT, 7 ERASE, 8 OPEN       state
 *
 * A reply is to its command with bit 7 set: status (2 bytes, 0 or negative), next: the byte of the patch
 * that is to be sent next (4), and then, if the status is negative, its name and text for people;
 * otherwise for those marked so the state: version of this protocol (1), flags TMD_SERIAL_* (1), slot
 * (1), starts (1), trial starts (1), bytes of a patch that a frame takes (2), length of the active model
 * (4), its version (4) and SHA-256 (32).
 *
 * Commands 2 to 7 are those of the management group (smp.h), which says what may be repeated; 5, 6
 * and 8 are besides answered once for each sequence: if the answer was lost, it is given again. So a PC
 * asks for the status first, lest it begin with the sequence that another one ended with. With a
 * staging region a transfer goes on where it was, also after a reset; without one, as long as the device
 * stays on.
 */
#ifndef TMD_SERIAL_H
#define TMD_SERIAL_H

#include <tinymldelta/smp.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TMD_SERIAL_PROTOCOL 1u

/*
 * Bytes of a patch in one frame, whose other parts are 13. A frame has to fit what the platform keeps
 * while the application does something else, or it is lost, each time it is sent: Arduino's core for UNO
 * Q keeps 64 bytes, and says so by that name; those for UNO R4 and ESP32 keep 512 and 256.
 */
#ifndef TMD_SERIAL_PIECE
#if defined(CONFIG_ARDUINO_API_SERIAL_BUFFER_SIZE) && CONFIG_ARDUINO_API_SERIAL_BUFFER_SIZE < 141
#define TMD_SERIAL_PIECE (CONFIG_ARDUINO_API_SERIAL_BUFFER_SIZE - 13u)
#else
#define TMD_SERIAL_PIECE 128u
#endif
#endif

/* A frame is given up if its next byte takes longer than so many milliseconds. */
#define TMD_SERIAL_PAUSE 500u

/*
 * So many milliseconds to stay for the next byte of a frame that has begun. Who leaves at once and comes
 * back after an inference has a frame in two parts with a long pause between. A wire needs less than a
 * millisecond for a byte, adapters to USB hold some back for up to 16.
 */
#define TMD_SERIAL_STAY 50u

enum tmd_serial_command {
	/* Each one more than the group's, so that 0 is none. */
	TMD_SERIAL_STATUS = TMD_SMP_STATUS + 1,
	TMD_SERIAL_BEGIN = TMD_SMP_BEGIN + 1,
	TMD_SERIAL_DATA = TMD_SMP_DATA + 1,
	TMD_SERIAL_FINISH = TMD_SMP_FINISH + 1,
	TMD_SERIAL_CONFIRM = TMD_SMP_CONFIRM + 1,
	TMD_SERIAL_REVERT = TMD_SMP_REVERT + 1,
	TMD_SERIAL_ERASE = TMD_SMP_ERASE + 1,
	TMD_SERIAL_OPEN = 8 /* the group has none: its application opens */
};

enum tmd_serial_flags {
	TMD_SERIAL_TRIAL = 0x01,  /* the active model is on trial */
	TMD_SERIAL_STAGING = 0x02 /* there is a staging region */
};

#define TMD_SERIAL_HEAD 5u
#define TMD_SERIAL_CRC 4u
#define TMD_SERIAL_FRAME_MAX (TMD_SERIAL_HEAD + 4u + TMD_SERIAL_PIECE + TMD_SERIAL_CRC)
#define TMD_SERIAL_TEXT_MAX 160u
#define TMD_SERIAL_REPLY_MAX (TMD_SERIAL_HEAD + 6u + TMD_SERIAL_TEXT_MAX + TMD_SERIAL_CRC)

struct tmd_serial {
	struct tmd_store store;
	struct tmd_model model; /* what was opened; its slot is TMD_SLOT_NONE if nothing is */
	uint32_t opened;        /* changes whenever `model` has become another, or none */
	uint8_t reply[TMD_SERIAL_REPLY_MAX];
	/* Private: */
	struct tmd_update update;
	struct tmd_smp smp;
	struct tmd_smp_port port;
	uint32_t last;     /* when the last byte came */
	uint32_t answered; /* CRC of the request whose reply is kept; 0: none */
	uint16_t reply_bytes;
	uint16_t fill;
	uint8_t frame[TMD_SERIAL_FRAME_MAX];
};

/*
 * Mount the store, and apply a patch that was complete in the staging region when the power went; if
 * that fails, the store is as it was. What tmd_store_mount returns; config must outlive all of it.
 */
int tmd_serial_begin(struct tmd_serial *serial,
		     const struct tmd_store_config *config) TMD_MUST_CHECK;

/*
 * Close what is open, if anything is, and open the active model: tmd_store_open. If that fails, none is
 * open, and what ran may be written over by the next update.
 */
int tmd_serial_open(struct tmd_serial *serial) TMD_MUST_CHECK;

/* Take one byte. Returns how many bytes of serial->reply to send; mostly 0. `now` is in ms. */
uint32_t tmd_serial_take(struct tmd_serial *serial, uint8_t byte, uint32_t now);

/* Has a frame begun whose rest has not come? */
static inline bool tmd_serial_waits(const struct tmd_serial *serial)
{
	return serial->fill > 0u;
}

#ifdef __cplusplus
}
#endif

#endif /* TMD_SERIAL_H */
